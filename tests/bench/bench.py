"""bench.py - `make bench`: durable submissions against redis-server's appendfsync always.

Both are driven by redis-benchmark over a Unix socket, take the same 200 bytes, write to the same
file system, and answer only when the disk has them. Each case runs both in turn, several times; the
table shows the medians. Numbers compare only within one run on one machine.
"""

import argparse
import csv
import io
import os
import pathlib
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))

from harness import process, wire  # noqa: E402 (the path comes first)
from harness.daemon import AWAITD, BUILD, LOCAL, TREE, Daemon  # noqa: E402

PAYLOAD = "SELECT '" + "x" * 191 + "'"
assert len(PAYLOAD) == 200

# name, redis-benchmark's options, requests, the ratio the project promises
CASES = [
    ("1 connection", ["-c", "1"], 5000, 0.8),
    ("50 connections", ["-c", "50"], 50000, 1.0),
    ("50 connections, -P 16", ["-c", "50", "-P", "16"], 200000, 0.4),
]

DURABILITY = [
    "awaitd: answers after the WAL's commit is on the disk, one durable write for all arrived",
    "redis:  --appendonly yes --appendfsync always: fdatasync before the answers of a loop turn",
]


class Ours:
    name = "awaitd"
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
    name = "redis"
    command = ["LPUSH", "jobs", PAYLOAD]

    def __init__(self, folder):
        self.socket = pathlib.Path(tempfile.mkdtemp(prefix="awaitd-bench-", dir="/tmp")) / "socket"
        self.server = process.Process(
            [process.need("redis-server"), "--port", 0, "--unixsocket", self.socket, "--dir",
             folder, "--save", "", "--appendonly", "yes", "--appendfsync", "always",
             "--auto-aof-rewrite-percentage", 0, "--daemonize", "no"], folder / "log")
        self.pid = self.server.pid
        process.wait_until(self.answers, 20, "redis-server to answer")

    def answers(self):
        try:
            with wire.Wire(self.socket, timeout_s=5) as client:
                return client.call("PING") == "PONG"
        except (OSError, wire.Closed):
            return False

    def close(self):
        self.server.end()
        shutil.rmtree(self.socket.parent, ignore_errors=True)


def cpu_seconds(pid):
    """User and system time of the process with all its threads, ring workers included."""
    stat = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    fields = stat.rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def drive(side, options, requests):
    """One redis-benchmark run: requests a second, p50 and p99 in ms, CPU microseconds a request."""
    before = cpu_seconds(side.pid)
    result = subprocess.run(
        [process.need("redis-benchmark"), "-s", str(side.socket), *options, "-n", str(requests),
         "--csv", *side.command], capture_output=True, text=True, timeout=600, check=True)
    used = cpu_seconds(side.pid) - before
    assert "rror" not in result.stdout + result.stderr, result.stdout + result.stderr
    row = list(csv.DictReader(io.StringIO(result.stdout)))[-1]
    return {"rps": float(row["rps"]), "p50": float(row["p50_latency_ms"]),
            "p99": float(row["p99_latency_ms"]), "cpu": used * 1e6 / requests}


def system_calls(side, options, requests):
    """System calls a request, by strace -c over a short run of its own (which it slows down)."""
    if shutil.which("strace") is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        report = pathlib.Path(folder) / "calls"
        tracer = process.Process(["strace", "-c", "-f", "-q", "-o", report, "-p", side.pid],
                                 pathlib.Path(folder) / "log")
        time.sleep(0.5)
        drive(side, options, requests)
        tracer.end(number=2)
        # The lines of a call each: % time, seconds, usecs/call, calls, maybe errors, name.
        calls = re.findall(r"^ *[\d.]+ +[\d.]+ +\d+ +(\d+) +(?:\d+ +)?(?!total)\w+$",
                           report.read_text(encoding="utf-8"), re.MULTILINE)
        return sum(int(number) for number in calls) / requests if calls else None


def one_turn(kind, base, action):
    """A fresh server with an empty state, so that no run pays for the ones before it."""
    folder = pathlib.Path(tempfile.mkdtemp(dir=base))
    side = kind(folder)
    try:
        return action(side)
    finally:
        side.close()
        shutil.rmtree(folder, ignore_errors=True)


def medians(runs):
    return {key: statistics.median(run[key] for run in runs) for key in runs[0]}


def measure(base, options, requests, rounds):
    runs = {Ours: [], Peer: []}
    for _ in range(rounds):
        for kind in (Ours, Peer):
            runs[kind].append(one_turn(kind, base, lambda side: drive(side, options, requests)))
    found = {kind: medians(results) for kind, results in runs.items()}
    for kind in (Ours, Peer):
        found[kind]["calls"] = one_turn(
            kind, base, lambda side: system_calls(side, options, min(requests, 5000)))
    return found


def machine(base):
    """What the numbers were taken on."""
    processor = re.search(r"model name\s*:\s*(.*)",
                          pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    memory = re.search(r"MemTotal:\s+(\d+)",
                       pathlib.Path("/proc/meminfo").read_text(encoding="ascii"))
    mount = subprocess.run(["findmnt", "-n", "-o", "FSTYPE,SOURCE", "-T", str(base)],
                           capture_output=True, text=True, check=False).stdout.strip()
    redis = subprocess.run(["redis-server", "--version"], capture_output=True, text=True,
                           check=True).stdout
    return [f"kernel {platform.release()} {platform.machine()}, {os.cpu_count()} processors "
            f"({processor.group(1) if processor else 'unknown'}), "
            f"{int(memory.group(1)) >> 20} GiB of memory",
            f"files on {mount}; {redis.split(' sha')[0].strip()}"]


def idle_memory(base):
    def resident(side):
        with side.daemon.connect() as client:
            client.call("PING")
        return side.daemon.resident_bytes()

    return one_turn(Ours, base, resident)


def show(found, name, promised):
    ours, peer = found[Ours], found[Peer]
    ratio = ours["rps"] / peer["rps"]
    print(f"{name:22} {ours['rps']:9.0f} {peer['rps']:9.0f} {ratio:6.2f} {promised:7.1f}  "
          f"{ours['p50']:6.2f} {ours['p99']:6.2f} {peer['p50']:6.2f} {peer['p99']:6.2f}  "
          f"{number(ours['calls'])} {number(peer['calls'])} {ours['cpu']:7.1f} {peer['cpu']:7.1f}",
          flush=True)
    return ratio >= promised


def number(value):
    return "     -" if value is None else f"{value:6.2f}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="of the numbers of requests")
    parser.add_argument("--folder", default=str(BUILD / "bench"), help="on the disk to measure")
    arguments = parser.parse_args()
    base = pathlib.Path(arguments.folder)
    base.mkdir(parents=True, exist_ok=True)
    print(f"make bench: durable submission of {len(PAYLOAD)} bytes, {AWAITD.relative_to(TREE)} "
          f"against redis-server, medians of {arguments.rounds} runs")
    for line in machine(base) + DURABILITY:
        print(f"  {line}")
    print(f"\n{'':22} {'requests a second':>19} {'':6} {'':7}  {'latency in ms':^27}  "
          f"{'calls a job':^13} {'CPU us a job':^15}")
    print(f"{'case':22} {'awaitd':>9} {'redis':>9} {'ratio':>6} {'aim':>7}  {'p50':>6} {'p99':>6} "
          f"{'r.p50':>6} {'r.p99':>6}  {'awaitd':>6} {'redis':>6} {'awaitd':>7} {'redis':>7}")
    kept = True
    for name, options, requests, promised in CASES:
        requests = max(1000, int(requests * arguments.scale))
        kept &= show(measure(base, options, requests, arguments.rounds), name, promised)
    resident = idle_memory(base)
    print(f"\nidle daemon: {resident / (1 << 20):.1f} MiB resident (aim: below 12)")
    kept &= resident < 12 << 20
    print("every aim is met" if kept else "an aim is missed")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
