"""bench_queue.py - `make bench-queue`: the work of a queue against beanstalkd, a Redis list, Celery
and RQ, all in one run, each with its durability printed.

Two kinds of work. A cycle is put, reserve, delete over N connections (tests/bench/cycle.c drives
all three with the same loop); every side answers only after its log is on the disk. Execution is
"run this trivial job": awaitd runs a Redis command or a SQL statement, Celery and RQ call an empty
Python function, their jobs already in the queue, from the start of the workers to the last job.
"""

import argparse
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))

from bench import machine  # noqa: E402
from harness import process, wire  # noqa: E402
from harness.daemon import BUILD, Daemon  # noqa: E402
from harness.redis_server import RedisServer  # noqa: E402

CYCLE = BUILD / "tests" / "bench" / "cycle"
ALWAYS = ["--appendonly", "yes", "--appendfsync", "always"]

# connections, cycles, aim against beanstalkd
CASES = [(1, 1500, 1.0), (32, 10000, 10.0), (256, 20000, None)]

DURABILITY = [
    "awaitd:     WAL on the disk before each answer, SUBMIT and ACK; jobs of one turn share a sync",
    "beanstalkd: -b FOLDER -f0, fsync after every put and delete",
    "redis:      --appendonly yes --appendfsync always, LPUSH, BLMOVE, LREM",
]


class Awaitd:
    name = "awaitd"

    def __init__(self, folder):
        self.daemon = Daemon("[target mail]\ntype = worker\n", state=folder)
        self.daemon.start()
        self.where = self.daemon.socket

    def close(self):
        self.daemon.close()


class Beanstalkd:
    name = "beanstalkd"

    def __init__(self, folder):
        self.where = process.free_port()
        self.server = process.Process(
            [process.need("beanstalkd"), "-l", "127.0.0.1", "-p", self.where, "-b", folder, "-f0"],
            folder / "log")
        time.sleep(0.5)
        assert self.server.running, self.server.output()

    def close(self):
        self.server.end()


class RedisList:
    name = "redis"

    def __init__(self, folder):
        self.server = RedisServer(*ALWAYS, "--dir", folder)
        self.where = self.server.socket

    def close(self):
        self.server.close()


def drive(kind, base, connections, cycles):
    folder = pathlib.Path(tempfile.mkdtemp(dir=base))
    side = kind(folder)
    try:
        result = subprocess.run([CYCLE, kind.name, str(side.where), str(connections), str(cycles)],
                                capture_output=True, text=True, timeout=600, check=False)
        assert result.returncode == 0, f"{kind.name}: {result.stderr}"
        return [float(word) for word in result.stdout.split()]
    finally:
        side.close()
        shutil.rmtree(folder, ignore_errors=True)


def cycles(base, rounds, scale):
    kept = True
    print(f"\n{'put, reserve, delete':22} {'cycles a second':^32} {'ratio to':^17} "
          f"{'p50 / p99 of a cycle, ms':^44}")
    print(f"{'connections':>22} {'awaitd':>10} {'beanstalkd':>10} {'redis':>10} {'beanst.':>8} "
          f"{'redis':>8} {'awaitd':>14} {'beanstalkd':>14} {'redis':>14}")
    for connections, count, aim in CASES:
        runs = {kind: [] for kind in (Awaitd, Beanstalkd, RedisList)}
        for _ in range(rounds):
            for kind in runs:
                runs[kind].append(drive(kind, base, connections, max(connections,
                                                                     int(count * scale))))
        found = {kind: [statistics.median(column) for column in zip(*result)]
                 for kind, result in runs.items()}
        ours, bean, redis = found[Awaitd], found[Beanstalkd], found[RedisList]
        ratio = ours[0] / bean[0]
        kept &= aim is None or ratio >= aim
        latencies = " ".join(f"{side[1]:6.2f} {side[2]:7.2f}" for side in (ours, bean, redis))
        print(f"{connections:22} {ours[0]:10.0f} {bean[0]:10.0f} {redis[0]:10.0f} {ratio:8.2f} "
              f"{ours[0] / redis[0]:8.2f} {latencies}"
              f"{'' if aim is None else f'   aim {aim:g}'}", flush=True)
    return kept


def execution_awaitd(base, count, target):
    """Jobs are in the queue, the target is held back by being paused; then it runs them all."""
    server = RedisServer(*ALWAYS)
    folder = pathlib.Path(tempfile.mkdtemp(dir=base))
    daemon = Daemon(f"[target cache]\ntype = redis\nuri = {server.uri}\n"
                    "[target local]\ntype = sqlite\npath = local.db\n"
                    "[queue default]\nkeep = 0\n", state=folder)
    daemon.start()
    command = {"cache": ["cache", "SET", "key", "value"], "local": ["local", "SELECT 1"]}[target]
    try:
        with daemon.connect() as client:
            assert client.call("TARGET", "PAUSE", target) == "OK"
            for begin in range(0, count, 1000):
                client.send_raw(b"".join(wire.encode("SUBMIT", *command) for _ in range(1000)))
                for _ in range(1000):
                    client.read()
            began = time.monotonic()
            assert client.call("TARGET", "RESUME", target) == "OK"
            process.wait_until(lambda: int(daemon.info()["total_done"]) >= count, 300,
                               "the jobs to be done")
            return count / (time.monotonic() - began)
    finally:
        daemon.close()
        server.close()
        shutil.rmtree(folder, ignore_errors=True)


PYTHON_JOBS = """
import os
def job():
    pass
if os.environ.get('BROKER'):
    try:
        import celery
        app = celery.Celery('jobs', broker=os.environ['BROKER'])
        app.conf.update(task_ignore_result=True, task_acks_late=True, worker_prefetch_multiplier=64)
        celery_job = app.task(name='job')(job)
    except ImportError:
        pass
"""


def execution_python(base, count, kind):
    """Celery with one prefork worker a processor, RQ with as many worker processes."""
    server = RedisServer(*ALWAYS)
    folder = pathlib.Path(tempfile.mkdtemp(dir=base))
    (folder / "jobs.py").write_text(PYTHON_JOBS, encoding="utf-8")
    environment = {**os.environ, "BROKER": server.uri, "PYTHONPATH": str(folder),
                   "HOME": str(folder)}
    workers = []
    try:
        submit = {"celery": "import jobs\nfor _ in range(%d): jobs.celery_job.delay()",
                  "rq": "import jobs, redis, rq\n"
                        f"q = rq.Queue(connection=redis.from_url('{server.uri}'))\n"
                        "for _ in range(%d): q.enqueue(jobs.job, result_ttl=0)"}[kind] % count
        subprocess.run([sys.executable, "-c", submit], env=environment, cwd=folder, timeout=600,
                       check=True)
        queue = {"celery": "celery", "rq": "rq:queue:default"}[kind]
        command = {"celery": [sys.executable, "-m", "celery", "-A", "jobs", "worker", "-c",
                              str(os.cpu_count()), "--without-gossip", "--without-mingle",
                              "--without-heartbeat", "-l", "ERROR"],
                   "rq": ["rq", "worker", "--burst", "--url", server.uri]}[kind]
        client = server.client()
        assert client.llen(queue) == count
        began = time.monotonic()
        for number in range(1 if kind == "celery" else os.cpu_count()):
            workers.append(process.Process(command, folder / f"log{number}",
                                           environment=environment))
        # the start of the interpreter is not counted: from the first job taken
        process.wait_until(lambda: client.llen(queue) < count, 60, "the first job to be taken")
        began = time.monotonic()
        process.wait_until(lambda: client.llen(queue) == 0 and
                           (kind != "celery" or client.hlen("unacked") == 0), 600,
                           "the jobs to be done")
        return count / (time.monotonic() - began)
    finally:
        for worker in workers:
            worker.end()
        server.close()
        shutil.rmtree(folder, ignore_errors=True)


def executions(base, scale):
    print("\nexecution of waiting jobs (Redis with appendfsync always under all but the SQL one)")
    ours = {target: execution_awaitd(base, int(20000 * scale), target)
            for target in ("cache", "local")}
    print(f"  awaitd, SET on Redis     {ours['cache']:10.0f} jobs/s")
    print(f"  awaitd, SELECT on SQLite {ours['local']:10.0f} jobs/s")
    for kind in ("celery", "rq"):
        rate = execution_python(base, max(200, int(2000 * scale)), kind)
        print(f"  {kind:24} {rate:10.0f} jobs/s   awaitd (Redis) does {ours['cache'] / rate:.0f} x",
              flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="of the numbers of jobs")
    parser.add_argument("--folder", default=str(BUILD / "bench"), help="on the disk to measure")
    parser.add_argument("--only", choices=["cycles", "execution"])
    arguments = parser.parse_args()
    base = pathlib.Path(arguments.folder)
    base.mkdir(parents=True, exist_ok=True)
    print(f"make bench-queue: medians of {arguments.rounds} runs")
    for line in machine(base) + DURABILITY:
        print(f"  {line}")
    kept = True
    if arguments.only != "execution":
        kept = cycles(base, arguments.rounds, arguments.scale)
    if arguments.only != "cycles":
        executions(base, arguments.scale)
    print("every aim is met" if kept else "an aim is missed")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
