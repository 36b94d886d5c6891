"""part_execution.py - running trivial jobs that wait in the queue already: a Redis command or a SQL
statement by awaitd, an empty Python function by Celery and RQ.
"""

import pathlib
import shutil
import tempfile
import time

from harness import process, wire
from harness.daemon import Daemon
from harness.redis_server import RedisServer

from measure import Row, cpu_seconds
from peers import PythonQueue

ALWAYS = ["--appendonly", "yes", "--appendfsync", "always"]
COMMANDS = {"cache": ["cache", "SET", "key", "value"], "local": ["local", "SELECT 1"]}


def ours(base, count, target):
    """The target is paused until all are in the queue. Jobs a second, our microseconds a job."""
    server = RedisServer(*ALWAYS)
    folder = pathlib.Path(tempfile.mkdtemp(dir=base))
    daemon = Daemon(f"[target cache]\ntype = redis\nuri = {server.uri}\n"
                    "[target local]\ntype = sqlite\npath = local.db\n"
                    "[queue default]\nkeep = 0\n", state=folder)
    daemon.start()
    try:
        with daemon.connect() as client:
            assert client.call("TARGET", "PAUSE", target) == "OK"
            one = wire.encode("SUBMIT", *COMMANDS[target])
            for begin in range(0, count, 1000):
                number = min(1000, count - begin)
                client.send_raw(one * number)
                for _ in range(number):
                    client.read()
            used = cpu_seconds(daemon.pid)
            began = time.monotonic()
            assert client.call("TARGET", "RESUME", target) == "OK"
            process.wait_until(lambda: int(daemon.info()["total_done"]) >= count, 300,
                               "the jobs to be done")
            rate = count / (time.monotonic() - began)
            return [rate, (cpu_seconds(daemon.pid) - used) * 1e6 / count]
    finally:
        daemon.close()
        server.close()
        shutil.rmtree(folder, ignore_errors=True)


def peer(kind, count):
    """Jobs a second from the first job taken: the start of the interpreter is not counted."""
    queue = PythonQueue(kind)
    try:
        queue.submit(count)
        assert queue.waiting() == count
        queue.start_workers()
        process.wait_until(lambda: queue.waiting() < count, 60, "the first job to be taken")
        began = time.monotonic()
        queue.wait_idle()
        return count / (time.monotonic() - began)
    finally:
        queue.close()


def rows(settings):
    count = settings.count(20000, 1000)
    few = settings.count(2000, 200)
    cache, local, celery, rq = settings.in_turn(
        lambda: ours(settings.base, count, "cache"), lambda: ours(settings.base, count, "local"),
        lambda: peer("celery", few), lambda: peer("rq", few))
    for name, rate, durable in (("Celery, empty task", celery, "broker: appendfsync always"),
                                ("RQ, empty function", rq, "broker: appendfsync always")):
        for what, found in (("SET on Redis", cache), ("SELECT on SQLite", local)):
            yield Row(f"run waiting jobs: {what}", "jobs/s", found[0], name, rate, cpu_us=found[1],
                      durable="outcomes synced", peer_durable=durable)
