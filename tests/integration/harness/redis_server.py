"""redis_server.py - a Redis server of the test's own: its folder, its port, its pid."""

import shutil

import redis

from harness import process


class RedisServer:
    """`configuration`: a file that a sentinel rewrites, in a folder that goes with it."""

    def __init__(self, *options, password=None, configuration=None, sentinel=False):
        self.folder = configuration.parent if configuration else process.temporary_folder("redis")
        self.configuration = [configuration] if configuration else []
        self.sentinel = sentinel
        self.password = password
        self.port = process.free_port()
        self.options = options
        self.server = None
        self.uri = f"redis://127.0.0.1:{self.port}/0"
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

    def client(self):
        return redis.Redis(port=self.port, password=self.password)

    def stop(self):
        self.server.kill()

    def close(self):
        if self.server is not None:
            self.server.end()
        shutil.rmtree(self.folder, ignore_errors=True)
