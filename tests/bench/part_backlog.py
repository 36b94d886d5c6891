"""part_backlog.py - what ten million waiting jobs cost: memory, disk, the time to READY, and how
long JOBS and QUEUE STATS take. No peer: the aims are the project's own.
"""

import pathlib
import shutil
import socket
import statistics
import tempfile
import time

from harness import wire
from harness.daemon import Daemon

from measure import Row

JOBS = 10_000_000
BLOCK = 2000  # submissions sent at once
PAYLOAD = "x" * 60
PAGES = [["JOBS", "LIMIT", "100"], ["JOBS", "STATE", "ready", "LIMIT", "100"],
         ["JOBS", "STATE", "dead", "LIMIT", "100"], ["JOBS", "QUEUE", "other", "LIMIT", "100"],
         ["QUEUES"], ["QUEUE", "STATS", "default"]]


def submit(path, count):
    """Pipelined over one connection, a block ahead of the answers; jobs a second."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.connect(str(path))
        client.settimeout(120)
        block = wire.encode("SUBMIT", "mail", PAYLOAD) * BLOCK
        began = time.monotonic()
        sent = answered = 0
        while answered < count:
            while sent < count and sent - answered < 4 * BLOCK:
                client.sendall(block)
                sent += BLOCK
            data = client.recv(1 << 20)
            assert data and b"-" not in data, data[:200]
            answered += data.count(b"$")
        return answered / (time.monotonic() - began)


def milliseconds(action, rounds=20):
    """Median and longest."""
    took = []
    for _ in range(rounds):
        began = time.monotonic()
        action()
        took.append((time.monotonic() - began) * 1000)
    return statistics.median(took), max(took)


def time_to_ready(daemon):
    began = time.monotonic()
    daemon.start()
    return time.monotonic() - began


def resident(daemon, when, jobs):
    return Row(f"resident, {jobs:,} jobs wait{when}", "MiB", daemon.resident_bytes() / (1 << 20),
               floor=128, less=True)


def rows(settings):
    jobs = settings.count(JOBS, 4 * BLOCK)
    folder = pathlib.Path(tempfile.mkdtemp(dir=settings.base))
    daemon = Daemon("[target mail]\ntype = worker\n", state=folder)
    try:
        daemon.start()
        sample = min(200_000, jobs // 4)
        empty = submit(daemon.socket, sample)
        submit(daemon.socket, jobs - 2 * sample)
        full = submit(daemon.socket, sample)
        yield Row("submission into the full queue", "jobs/s", full, "into the empty one", empty,
                  aim=0.7, durable="WAL synced before OK", peer_durable="the same")
        yield resident(daemon, "", jobs)
        size = sum(file.stat().st_size for file in folder.iterdir())
        yield Row("on the disk", "bytes/job", size / jobs)
        daemon.stop()
        yield Row("start to the first answer, after a stop", "s", time_to_ready(daemon), floor=2,
                  less=True)
        daemon.kill()
        yield Row("start to the first answer, after SIGKILL", "s", time_to_ready(daemon), floor=2,
                  less=True)
        with daemon.connect() as client:
            for command in PAGES:
                usual, longest = milliseconds(lambda words=command: client.call(*words))
                yield Row(f"{' '.join(command)}, longest", "ms", longest, floor=50, less=True,
                          note=f"median {usual:.1f} ms")
        yield resident(daemon, ", after a restart", jobs)
    finally:
        daemon.close()
        shutil.rmtree(folder, ignore_errors=True)
