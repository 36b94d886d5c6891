"""proxy.py - a TCP proxy that cuts connections after some bytes, in both directions."""

import random
import socket
import threading


class Proxy:
    """Forwards to a port on 127.0.0.1. While `cutting`, each connection is reset after some bytes
    from either side. `swallow` is what the server may not say: a connection whose answer holds it
    is reset instead, which is a connection lost between a COMMIT and its answer."""

    def __init__(self, port, seed, bytes_max=20000):
        self.target = ("127.0.0.1", port)
        self.chance = random.Random(seed)
        self.bytes_max = bytes_max
        self.cutting = False
        self.swallow = None
        self.swallowed = 0
        self.cuts = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
                far = socket.create_connection(self.target)
            except OSError:
                if self.listener.fileno() < 0:
                    return
                continue
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self.pump, args=(source, sink, source is far),
                                 daemon=True).start()

    def pump(self, source, sink, from_server):
        left = self.chance.randrange(1, self.bytes_max)
        try:
            while data := source.recv(65536):
                if from_server and self.swallow and self.swallow in data:
                    self.swallowed += 1
                    break
                if self.cutting:
                    part = data[:left]
                    left -= len(part)
                    sink.sendall(part)
                    if left == 0:
                        self.cuts += 1
                        break
                else:
                    sink.sendall(data)
        except OSError:
            pass
        for one in (source, sink):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.listener.close()
