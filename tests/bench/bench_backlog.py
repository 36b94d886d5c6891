"""bench_backlog.py - `make bench-backlog`: what millions of waiting jobs cost.

Submits jobs for a worker nobody works for, and checks what the project promises: resident memory,
the time from start to READY (the first answer on the socket), the speed of submission against an
empty queue in the same run, and how long JOBS and QUEUE STATS take.
"""

import argparse
import os
import pathlib
import shutil
import socket
import statistics
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))

from bench import machine  # noqa: E402
from harness import wire  # noqa: E402
from harness.daemon import BUILD, Daemon  # noqa: E402

BLOCK = 2000  # submissions sent at once
PAYLOAD = "x" * 60


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
    took = []
    for _ in range(rounds):
        began = time.monotonic()
        action()
        took.append((time.monotonic() - began) * 1000)
    return f"median {statistics.median(took):.1f} ms, longest {max(took):.1f} ms", max(took)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=10_000_000)
    parser.add_argument("--folder", default=str(BUILD / "bench"), help="on the disk to measure")
    arguments = parser.parse_args()
    base = pathlib.Path(arguments.folder)
    base.mkdir(parents=True, exist_ok=True)
    folder = pathlib.Path(tempfile.mkdtemp(dir=base))
    print(f"make bench-backlog: {arguments.jobs} waiting jobs")
    for line in machine(base):
        print(f"  {line}")
    daemon = Daemon("[target mail]\ntype = worker\n", state=folder)
    kept = True

    def line(what, value, aim, good):
        nonlocal kept
        kept &= good
        print(f"  {what:34} {value:44} aim: {aim}{'' if good else '   MISSED'}", flush=True)

    try:
        daemon.start()
        sample = min(200_000, arguments.jobs // 4)
        empty = submit(daemon.socket, sample)
        submit(daemon.socket, arguments.jobs - 2 * sample)
        full = submit(daemon.socket, sample)
        line("submission, empty and full queue", f"{empty:.0f} and {full:.0f} jobs/s "
             f"({full / empty:.2f})", "0.7", full >= 0.7 * empty)
        resident = daemon.resident_bytes() / (1 << 20)
        line("resident memory", f"{resident:.0f} MiB", "128 MiB", resident < 128)
        size = sum(file.stat().st_size for file in folder.iterdir())
        print(f"  {'on disk':34} {size / (1 << 20):.0f} MiB, "
              f"{size / arguments.jobs:.0f} bytes a job")
        daemon.stop()
        began = time.monotonic()
        daemon.start()
        took = time.monotonic() - began
        line("stopped in order, start to READY", f"{took:.2f} s", "2 s", took < 2)
        daemon.kill()
        began = time.monotonic()
        daemon.start()
        took = time.monotonic() - began
        line("killed, start to READY", f"{took:.2f} s", "2 s", took < 2)
        with daemon.connect() as client:
            for command in (["JOBS", "LIMIT", "100"], ["JOBS", "STATE", "ready", "LIMIT", "100"],
                            ["JOBS", "STATE", "dead", "LIMIT", "100"],
                            ["JOBS", "QUEUE", "other", "LIMIT", "100"],
                            ["QUEUES"], ["QUEUE", "STATS", "default"]):
                text, longest = milliseconds(lambda words=command: client.call(*words))
                line(" ".join(command), text, "50 ms", longest < 50)
        resident = daemon.resident_bytes() / (1 << 20)
        line("resident memory after a restart", f"{resident:.0f} MiB", "128 MiB", resident < 128)
    finally:
        daemon.close()
        shutil.rmtree(folder, ignore_errors=True)
    print("every aim is met" if kept else "an aim is missed")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
