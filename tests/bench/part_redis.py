"""part_redis.py - durable Redis SET jobs end to end: submitted by pipelined clients, executed, and
marked done, against redis-benchmark sending the same SET without a queue.
"""

import pathlib
import shutil
import tempfile

from harness import daemon as daemon_module
from harness.daemon import Daemon
from harness.redis_server import RedisServer

from measure import Row, cpu_seconds, redis_benchmark, run_program, system_calls

WORDS = ["cache", "SET", "key", "x" * 100]
CLIENTS = 4
DEPTH = 500
JOBS = 200000

# the server's appendfsync, aim in jobs a second
CASES = [("always", 100000), ("everysec", None)]


class Stage:
    def __init__(self, base, policy):
        self.folder = pathlib.Path(tempfile.mkdtemp(dir=base))
        self.server = RedisServer("--appendonly", "yes", "--appendfsync", policy)
        self.daemon = Daemon(daemon_module.target("cache", "redis", uri=self.server.uri),
                             "[queue default]\nconcurrency = 2048\nkeep = 0\n", state=self.folder)
        self.daemon.start()

    def close(self):
        self.daemon.close()
        self.server.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def ours(self, jobs):
        """Jobs a second, and the daemon's microseconds a job."""
        used = cpu_seconds(self.daemon.pid)
        _, seconds = run_program("load", self.daemon.socket, CLIENTS, jobs, DEPTH, *WORDS)
        return [jobs / seconds, (cpu_seconds(self.daemon.pid) - used) * 1e6 / jobs]

    def direct(self, requests):
        return redis_benchmark("-p", self.server.port, "-c", 50, "-P", 16, "-n", requests, "--csv",
                               *WORDS[1:])[0]


def rows(settings):
    jobs = settings.count(JOBS, 1000)
    for policy, aim in CASES:
        stage = Stage(settings.base, policy)
        try:
            ours, direct = settings.in_turn(lambda: stage.ours(jobs), lambda: stage.direct(jobs))
            calls = system_calls(stage.daemon.pid, lambda: stage.ours(jobs // 4))
        finally:
            stage.close()
        yield Row(f"SET jobs end to end, appendfsync {policy}", "jobs/s", ours[0],
                  "redis-benchmark -c 50 -P 16", direct, floor=aim, cpu_us=ours[1],
                  calls=calls / (jobs // 4) if calls else None,
                  durable="synced before OK and done", peer_durable=f"appendfsync {policy}")
