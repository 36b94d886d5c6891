"""http_server.py - an HTTP server in the test's own process that answers by path and remembers
every request.

  /echo                 200, the request's body
  /status/<n>           that status
  /first/<n>/<name>     status <n> for the first request of that name, then 200
  /later/<form>/<name>  429 for the first request of that name, Retry-After 1 s later as `form`
                        (seconds or date), then 200
  /redirect/<n>         <n> redirects, then 200
  /to?<location>        a redirect there
  /big/<n>              <n> bytes
  /gate/<name>          answers when gate.set() was called
  /cut/<name>           closes in the middle of the body the first time, then 200
"""

import email.utils
import http.server
import socket
import ssl
import subprocess
import threading
import time


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def handle_any(self):
        size = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(size)
        owner = self.server.owner
        with owner.lock:
            owner.requests.append((self.command, self.path, dict(self.headers), body,
                                   time.monotonic()))
            times = sum(1 for request in owner.requests if request[1] == self.path)
        words = self.path.split("?")[0].split("/")
        getattr(self, "do_" + words[1] + "_path", self.no_page)(words, body, times)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = handle_any

    def no_page(self, _words, _body, _times):
        self.answer(404, b"no such page")

    def do_echo_path(self, _words, body, _times):
        self.answer(200, body, X_Seen="one", Set_Cookie="a=1", Content_Type="text/plain")

    def do_status_path(self, words, _body, _times):
        self.answer(int(words[2]), b"because")

    def do_first_path(self, words, _body, times):
        self.answer(int(words[2]) if times == 1 else 200, b"at last")

    def do_later_path(self, words, _body, times):
        when = "1" if words[2] == "seconds" else email.utils.formatdate(time.time() + 2,
                                                                         usegmt=True)
        if times == 1:
            self.answer(429, b"", Retry_After=when)
        else:
            self.answer(200, b"patient")

    def do_redirect_path(self, words, _body, _times):
        left = int(words[2])
        if left:
            self.answer(302, b"", Location=f"/redirect/{left - 1}")
        else:
            self.answer(200, b"home")

    def do_to_path(self, _words, _body, _times):
        self.answer(307, b"", Location=self.path.split("?", 1)[1])

    def do_big_path(self, words, _body, _times):
        self.answer(200, b"x" * int(words[2]))

    def do_gate_path(self, _words, _body, _times):
        self.server.owner.gate.wait(120)
        self.answer(200, b"open")

    def do_cut_path(self, _words, _body, times):
        if times > 1:
            self.answer(200, b"whole")
            return
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        self.close_connection = True


class Listener(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.connections = set()

    def process_request(self, request, client_address):
        self.connections.add(request)
        super().process_request(request, client_address)

    def close_request(self, request):
        self.connections.discard(request)
        super().close_request(request)

    def hang_up(self):
        for connection in list(self.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it has gone already

    def handle_error(self, request, client_address):
        pass  # a client that went away is no news


class HttpServer:
    def __init__(self, port=0, certificate=None):
        self.requests = []
        self.lock = threading.Lock()
        self.gate = threading.Event()
        self.certificate = certificate
        self.port = port
        self.listener = None
        self.start()

    def start(self):
        self.listener = Listener(("127.0.0.1", self.port), Handler)
        self.listener.owner = self
        self.port = self.listener.server_address[1]
        if self.certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.certificate)
            self.listener.socket = context.wrap_socket(self.listener.socket, server_side=True)
        threading.Thread(target=self.listener.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self):
        self.listener.shutdown()
        self.listener.hang_up()
        self.listener.server_close()

    def close(self):
        self.gate.set()
        self.stop()

    @property
    def uri(self):
        return f"http{'s' if self.certificate else ''}://127.0.0.1:{self.port}"

    def seen(self, path):
        with self.lock:
            return [request for request in self.requests if request[1] == path]


def make_certificate(folder):
    """A certificate of its own for 127.0.0.1: (certificate, key)."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", certificate,
                    "-days", "2", "-subj", "/CN=localhost", "-addext",
                    "subjectAltName=DNS:localhost,IP:127.0.0.1"],
                   check=True, capture_output=True, timeout=60)
    return certificate, key
