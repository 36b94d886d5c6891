"""redis_server.py - a Redis server of the test's own: its folder, its port, its pid."""

import shutil

import redis

from harness import process


class Access:
    """How to reach a server, wherever it runs."""

    def __init__(self, port, password=""):
        self.port = port
        self.password = password
        self.uri = self.uri_at(port)

    def uri_at(self, port):
        """The server's URI by another port, such as a proxy's."""
        password = f":{self.password}@" if self.password else ""
        return f"redis://{password}127.0.0.1:{port}/0"

    def client(self, **options):
        return redis.Redis(port=self.port, password=self.password or None, **options)


class RedisServer(Access):
    """`configuration`: a file that a sentinel rewrites, in a folder that goes with it."""

    def __init__(self, *options, password="", configuration=None, sentinel=False):
        super().__init__(process.free_port(), password)
        self.folder = configuration.parent if configuration else process.temporary_folder("redis")
        self.configuration = [configuration] if configuration else []
        self.sentinel = sentinel
        self.options = options
        self.server = None
        self.socket = self.folder / "socket"
        self.start()

    def start(self):
        self.server = process.Process(
            [process.need("redis-server"), *self.configuration, "--port", self.port, "--bind",
             "127.0.0.1", "--unixsocket", self.socket, "--dir", self.folder, "--daemonize", "no",
             *(("--sentinel",) if self.sentinel else ("--save", "")), *self.options],
            self.folder / "log")
        process.wait_until(self.answers, 30, f"Redis to answer\n{self.server.output()}")

    def answers(self):
        assert self.server.running, self.server.output()
        try:
            return self.client().ping()
        except redis.exceptions.ConnectionError:
            return False

    @property
    def running(self):
        return self.server.running

    def stop(self):
        self.server.kill()

    def close(self):
        if self.server is not None:
            self.server.end()
        shutil.rmtree(self.folder, ignore_errors=True)
