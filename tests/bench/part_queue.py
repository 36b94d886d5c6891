"""part_queue.py - the work of a queue against beanstalkd and a Redis list: put, reserve, delete.

cycle.c drives all three with the same loop over N connections; every side answers only after its
log is on the disk.
"""

import pathlib
import shutil
import tempfile

from harness.daemon import Daemon
from harness.redis_server import RedisServer

from measure import Row, cpu_seconds, run_program, system_calls
from peers import Beanstalkd

ALWAYS = ["--appendonly", "yes", "--appendfsync", "always"]

# connections, cycles, aim against beanstalkd
CASES = [(1, 1500, 1.0), (32, 10000, 10.0), (256, 20000, None)]


class Awaitd:
    name = "awaitd"

    def __init__(self, folder):
        self.daemon = Daemon("[target mail]\ntype = worker\n", state=folder)
        self.daemon.start()
        self.where = self.daemon.socket
        self.pid = self.daemon.pid

    def close(self):
        self.daemon.close()


class RedisList:
    name = "redis"

    def __init__(self, folder):
        self.server = RedisServer(*ALWAYS, "--dir", folder)
        self.where = self.server.socket
        self.pid = self.server.server.pid

    def close(self):
        self.server.close()


def drive(kind, base, connections, cycles, counted=False):
    """Cycles a second, median and p99 of one in ms, the server's microseconds a cycle; or, when
    counted, its system calls a cycle."""
    folder = pathlib.Path(tempfile.mkdtemp(dir=base))
    side = kind(folder)

    def load():
        return run_program("cycle", kind.name, side.where, connections, cycles)

    try:
        if counted:
            found = system_calls(side.pid, load)
            return found / cycles if found else None
        used = cpu_seconds(side.pid)
        found = load()
        return found + [(cpu_seconds(side.pid) - used) * 1e6 / cycles]
    finally:
        side.close()
        shutil.rmtree(folder, ignore_errors=True)


def rows(settings):
    for connections, count, aim in CASES:
        number = settings.count(count, connections)
        kinds = (Awaitd, Beanstalkd, RedisList)
        ours, bean, redis = settings.in_turn(*[
            lambda kind=kind: drive(kind, settings.base, connections, number) for kind in kinds])
        calls = drive(Awaitd, settings.base, connections, min(number, 5000), counted=True)
        for peer, found, bound, durable in (
                ("beanstalkd -b -f0", bean, aim, "fsync each put, delete"),
                ("Redis LPUSH BLMOVE LREM", redis, None, "appendfsync always")):
            yield Row(f"put, reserve, delete, {connections} connections", "cycles/s", ours[0], peer,
                      found[0], aim=bound, cpu_us=ours[3], calls=calls,
                      durable="WAL synced, SUBMIT and ACK", peer_durable=durable,
                      note=f"p50/p99 ms {ours[1]:.2f}/{ours[2]:.2f} "
                           f"(peer {found[1]:.2f}/{found[2]:.2f})")
