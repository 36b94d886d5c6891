"""wire.py - a RESP2/RESP3 client of our own, so that tests see exactly what the daemon sends."""

import socket


class Status(str):
    """A simple string: +OK."""


class Error(str):
    """An error reply; `word` is its stable first word."""

    @property
    def word(self):
        return self.split(" ", 1)[0]


class Push(list):
    """An out-of-band push of RESP3."""


class Closed(Exception):
    """The daemon closed the connection."""


def encode(*arguments):
    parts = [b"*%d\r\n" % len(arguments)]
    for argument in arguments:
        if not isinstance(argument, bytes):
            argument = str(argument).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(argument), argument))
    return b"".join(parts)


def as_map(reply):
    """A map reply as a dict with text keys, whichever RESP version it came in."""
    assert not isinstance(reply, Error), reply
    pairs = reply.items() if isinstance(reply, dict) else zip(reply[::2], reply[1::2])
    return {key.decode() if isinstance(key, bytes) else str(key): value for key, value in pairs}


def text(value):
    return value.decode() if isinstance(value, bytes) else value


class Wire:
    """One connection. `send` and `read` are separate, for pipelines; `call` is both."""

    def __init__(self, path, timeout_s=60, receive_buffer=None):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        # Blocking: with a timeout set, a full backlog would be EAGAIN instead of a wait.
        self.socket.connect(str(path))
        self.socket.settimeout(timeout_s)
        self.data = bytearray()
        self.position = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def finish_writing(self):
        self.socket.shutdown(socket.SHUT_WR)

    def send_raw(self, data):
        self.socket.sendall(data)

    def send(self, *arguments):
        self.socket.sendall(encode(*arguments))

    def call(self, *arguments):
        self.send(*arguments)
        return self.read()

    def pipeline(self, commands):
        """Sends all, then reads all: only for replies that fit the socket's buffers meanwhile."""
        commands = list(commands)
        self.send_raw(b"".join(encode(*command) for command in commands))
        return [self.read() for _ in commands]

    def at_end(self):
        """Whether the daemon closes without a further byte."""
        if self.position < len(self.data):
            return False
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def _more(self):
        if self.position > 1 << 20:
            del self.data[:self.position]
            self.position = 0
        received = self.socket.recv(1 << 16)
        if not received:
            raise Closed(bytes(self.data[self.position:]))
        self.data += received

    def _line(self):
        while True:
            end = self.data.find(b"\r\n", self.position)
            if end >= 0:
                line = bytes(self.data[self.position:end])
                self.position = end + 2
                return line
            self._more()

    def _exactly(self, size):
        while len(self.data) - self.position < size + 2:
            self._more()
        value = bytes(self.data[self.position:self.position + size])
        assert self.data[self.position + size:self.position + size + 2] == b"\r\n"
        self.position += size + 2
        return value

    def read(self):
        line = self._line()
        kind, rest = line[:1], line[1:]
        if kind in SCALARS:
            return SCALARS[kind](rest)
        size = int(rest)
        if size < 0:
            return None
        if kind in b"$=":
            value = self._exactly(size)
            return value if kind == b"$" else value[4:]
        if kind in b"*~":
            return [self.read() for _ in range(size)]
        if kind == b"%":
            return {key_of(self.read()): self.read() for _ in range(size)}
        if kind == b">":
            return Push([self.read() for _ in range(size)])
        raise AssertionError(f"the daemon sent {line!r}")


def key_of(value):
    return value.decode() if isinstance(value, bytes) else value


SCALARS = {
    b"+": lambda rest: Status(rest.decode()),
    b"-": lambda rest: Error(rest.decode()),
    b":": int,
    b"_": lambda rest: None,
    b",": float,
    b"#": lambda rest: rest == b"t",
    b"(": int,
}
