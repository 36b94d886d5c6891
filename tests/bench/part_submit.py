"""part_submit.py - durable submissions against redis-server's appendfsync always.

Both are driven by redis-benchmark over a Unix socket, take the same 200 bytes, write to the same
file system, and answer only when the disk has them.
"""

import pathlib
import shutil
import tempfile

from harness.daemon import LOCAL, Daemon
from harness.redis_server import RedisServer

from measure import Row, cpu_seconds, redis_benchmark, system_calls

PAYLOAD = "SELECT '" + "x" * 191 + "'"
assert len(PAYLOAD) == 200

# name, redis-benchmark's options, requests, the ratio the project promises
CASES = [
    ("1 connection", ["-c", "1"], 5000, 0.8),
    ("50 connections", ["-c", "50"], 50000, 1.0),
    ("50 connections, -P 16", ["-c", "50", "-P", "16"], 200000, 0.4),
]


class Ours:
    command = ["SUBMIT", "DELAY", "3600000", "local", PAYLOAD]

    def __init__(self, folder):
        self.daemon = Daemon(LOCAL, state=folder)
        self.daemon.start()
        self.pid = self.daemon.pid
        self.socket = self.daemon.socket
        with self.daemon.connect() as client:
            reply = client.call(*self.command)
            assert isinstance(reply, bytes) and reply.isdigit(), reply

    def close(self):
        self.daemon.close()


class Peer:
    command = ["LPUSH", "jobs", PAYLOAD]

    def __init__(self, folder):
        self.server = RedisServer("--dir", folder, "--appendonly", "yes", "--appendfsync", "always",
                                  "--auto-aof-rewrite-percentage", 0)
        self.pid = self.server.server.pid
        self.socket = self.server.socket

    def close(self):
        self.server.close()


def drive(side, options, requests):
    """One redis-benchmark run: requests a second, p50 and p99 in ms, CPU microseconds a request."""
    before = cpu_seconds(side.pid)
    found = redis_benchmark("-s", side.socket, *options, "-n", requests, "--csv", *side.command)
    return found + [(cpu_seconds(side.pid) - before) * 1e6 / requests]


def one_turn(kind, base, action):
    """A fresh server with an empty state, so that no run pays for the ones before it."""
    folder = pathlib.Path(tempfile.mkdtemp(dir=base))
    side = kind(folder)
    try:
        return action(side)
    finally:
        side.close()
        shutil.rmtree(folder, ignore_errors=True)


def calls_of(kind, base, options, requests):
    found = one_turn(kind, base, lambda side: system_calls(
        side.pid, lambda: drive(side, options, requests)))
    return found / requests if found else None


def rows(settings):
    for name, options, number, aim in CASES:
        requests = settings.count(number, 1000)
        turns = [lambda kind=kind: one_turn(kind, settings.base,
                                            lambda side: drive(side, options, requests))
                 for kind in (Ours, Peer)]
        ours, peer = settings.in_turn(*turns)
        calls, peer_calls = [calls_of(kind, settings.base, options, min(requests, 5000))
                             for kind in (Ours, Peer)]
        yield Row(f"submit 200 bytes, {name}", "jobs/s", ours[0], "Redis LPUSH", peer[0], aim=aim,
                  cpu_us=ours[3], calls=calls, durable="WAL synced before OK",
                  peer_durable="appendfsync always",
                  note=f"p50/p99 ms {ours[1]:.2f}/{ours[2]:.2f} (peer {peer[1]:.2f}/"
                       f"{peer[2]:.2f}); peer {peer[3]:.1f} us, {peer_calls or 0:.2f} calls")
    resident = one_turn(Ours, settings.base, idle_memory)
    yield Row("idle daemon, resident", "MiB", resident / (1 << 20), floor=12, less=True)


def idle_memory(side):
    with side.daemon.connect() as client:
        client.call("PING")
    return side.daemon.resident_bytes()
