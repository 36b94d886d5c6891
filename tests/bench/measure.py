"""measure.py - the ruler of every benchmark: processor time, system calls, medians, the machine,
and the table with a line a case that `make bench` and `make bench-lib` print.

Figures are medians over rounds in which all sides take turns, so that what else the machine does
hits all of them alike. Ratios within one run are what counts.
"""

import argparse
import csv
import dataclasses
import io
import os
import pathlib
import platform
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))

from harness import process  # noqa: E402 (the path comes first)
from harness.daemon import BUILD  # noqa: E402
from harness.postgres import binaries  # noqa: E402

PROGRAMS = BUILD / "tests" / "bench"


class Settings:
    """What the command line asked for."""

    def __init__(self, rounds, scale, folder):
        self.rounds = rounds
        self.scale = scale
        self.base = pathlib.Path(folder)
        self.base.mkdir(parents=True, exist_ok=True)

    def count(self, number, least=1):
        """A number of requests, scaled."""
        return max(least, int(number * self.scale))

    def in_turn(self, *actions):
        """Runs the actions one after the other, round by round; a list of the medians of each,
        whose results are numbers or equally long lists of them."""
        runs = [[] for _ in actions]
        for _ in range(self.rounds):
            for found, action in zip(runs, actions):
                found.append(action())
        return [median(found) for found in runs]


def median(results):
    if isinstance(results[0], (list, tuple)):
        return [statistics.median(column) for column in zip(*results)]
    return statistics.median(results)


def cpu_seconds(pid):
    """User and system time of the process with all its threads, ring workers included."""
    stat = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    fields = stat.rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1)) * 1024


def perf_can_count():
    if shutil.which("perf") is None:
        return False
    found = subprocess.run(["perf", "stat", "-e", "raw_syscalls:sys_enter", "true"],
                           capture_output=True, text=True, check=False)
    return found.returncode == 0 and "not supported" not in found.stderr


def system_calls(pid, action):
    """System calls of the process while the action runs: by perf's tracepoint, else by strace
    (which slows the process down, so that each turn has more to do). None: neither is there."""
    with tempfile.TemporaryDirectory() as folder:
        report = pathlib.Path(folder) / "calls"
        if perf_can_count():
            command = ["perf", "stat", "-x", ",", "-e", "raw_syscalls:sys_enter", "-o", report,
                       "-p", pid]
            pattern = r"^(\d+),,raw_syscalls:sys_enter"
        elif shutil.which("strace"):
            # the lines of a call each: % time, seconds, usecs/call, calls, maybe errors, name
            command = ["strace", "-c", "-f", "-q", "-o", report, "-p", pid]
            pattern = r"^ *[\d.]+ +[\d.]+ +\d+ +(\d+) +(?:\d+ +)?(?!total)\w+$"
        else:
            return None
        tracer = process.Process(command, pathlib.Path(folder) / "log")
        time.sleep(0.5)
        try:
            action()
        finally:
            tracer.end(number=signal.SIGINT)
        calls = re.findall(pattern, report.read_text(encoding="utf-8"), re.MULTILINE)
        return sum(int(number) for number in calls) if calls else None


def run_program(name, *arguments, timeout_s=600, **options):
    """A load program of this folder (or a path): its words of output as numbers."""
    path = name if os.sep in str(name) else PROGRAMS / name
    result = subprocess.run([str(path), *map(str, arguments)], capture_output=True, text=True,
                            timeout=timeout_s, check=False, **options)
    if result.returncode != 0:
        raise RuntimeError(f"{pathlib.Path(path).name} {' '.join(map(str, arguments))}: "
                           f"{result.stderr.strip() or result.returncode}")
    return [float(word) for word in result.stdout.split()]


def pgbench(server, script, clients, times, threads=None):
    """Runs the script so many times on each client; how many a second."""
    file = server.folder / "script.sql"
    file.write_text(script, encoding="utf-8")
    result = subprocess.run(
        [str(binaries() / "pgbench"), "-n", "-M", "prepared", "-c", str(clients), "-j",
         str(threads or min(clients, os.cpu_count())), "-t", str(times), "-f", str(file), "-h",
         str(server.folder), "-p", str(server.port), "-U", "postgres", "postgres"],
        capture_output=True, text=True, timeout=600, check=True)
    found = re.search(r"^tps = ([\d.]+)", result.stdout, re.MULTILINE)
    if found is None:
        raise RuntimeError(f"pgbench says no rate: {result.stdout} {result.stderr}")
    return float(found.group(1))


def redis_benchmark(*words):
    """Requests a second, median and 99th percentile in ms."""
    result = subprocess.run([process.need("redis-benchmark"), *map(str, words)],
                            capture_output=True, text=True, timeout=600, check=True)
    assert "rror" not in result.stdout + result.stderr, result.stdout + result.stderr
    row = list(csv.DictReader(io.StringIO(result.stdout)))[-1]
    return [float(row["rps"]), float(row["p50_latency_ms"]), float(row["p99_latency_ms"])]


def machine(base):
    """What the numbers were taken on."""
    processor = re.search(r"model name\s*:\s*(.*)",
                          pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    memory = re.search(r"MemTotal:\s+(\d+)",
                       pathlib.Path("/proc/meminfo").read_text(encoding="ascii"))
    mount = subprocess.run(["findmnt", "-n", "-o", "FSTYPE,SOURCE", "-T", str(base)],
                           capture_output=True, text=True, check=False).stdout.strip()
    load = os.getloadavg()
    return [f"kernel {platform.release()} {platform.machine()}, {os.cpu_count()} processors "
            f"({processor.group(1) if processor else 'unknown'}), "
            f"{int(memory.group(1)) >> 20} GiB of memory, files on {mount}",
            f"load before: {load[0]:.1f} (above 0.5 the figures are noise); "
            f"{time.strftime('%Y-%m-%d %H:%M')}"]


def versions(commands):
    """The first line each command prints."""
    lines = []
    for command in commands:
        if shutil.which(command[0]) is None:
            continue
        found = subprocess.run(command, capture_output=True, text=True, check=False)
        lines.append((found.stdout or found.stderr).strip().split("\n")[0][:60])
    return "; ".join(lines)


@dataclasses.dataclass
class Row:
    """One case. `aim` bounds the ratio, `floor` our own figure; with `less`, smaller is better and
    both are upper bounds."""

    case: str
    unit: str
    ours: float
    peer: str = "-"
    theirs: float = None
    aim: float = None
    floor: float = None
    less: bool = False
    cpu_us: float = None
    calls: float = None
    durable: str = "-"
    peer_durable: str = "-"
    note: str = ""

    @property
    def ratio(self):
        return self.ours / self.theirs if self.theirs else None

    def within(self, value, bound):
        return bound is None or value is None or (value <= bound if self.less else value >= bound)

    @property
    def kept(self):
        return self.within(self.ratio, self.aim) and self.within(self.ours, self.floor)

    @property
    def has_aim(self):
        return self.aim is not None or self.floor is not None

    def cells(self):
        sign = "<=" if self.less else ">="
        aims = [f"{sign} {figure(bound)}{what}" for bound, what in
                ((self.aim, "x"), (self.floor, f" {self.unit}")) if bound is not None]
        return [self.case, self.unit, figure(self.ours), self.peer, figure(self.theirs),
                figure(self.ratio, 2), ", ".join(aims) or "-",
                ("met" if self.kept else "MISSED") if self.has_aim else "-", figure(self.cpu_us, 1),
                figure(self.calls, 2), self.durable, self.peer_durable, self.note]


def figure(value, digits=None):
    if value is None:
        return "-"
    if digits is None:
        digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}"


class Table:
    """Prints each row as soon as it is known."""

    TITLES = ["case", "unit", "awaitd", "peer", "its figure", "ratio", "aim", "", "CPU us/job",
              "calls/job", "durability", "of the peer", "note"]
    WIDTHS = [44, 10, 10, 26, 10, 7, 24, 6, 10, 9, 26, 30, 0]
    NUMBERS = (2, 4, 5, 8, 9)

    def __init__(self, markdown, ours="awaitd"):
        self.markdown = markdown
        self.titles = [ours if title == "awaitd" else title for title in self.TITLES]
        self.rows = []

    def show(self, cells):
        if self.markdown:
            print("| " + " | ".join(cells) + " |", flush=True)
            return
        padded = [cell.rjust(width) if index in self.NUMBERS else cell.ljust(width)
                  for index, (cell, width) in enumerate(zip(cells, self.WIDTHS))]
        print(" ".join(padded).rstrip(), flush=True)

    def head(self):
        self.show(self.titles)
        if self.markdown:
            self.show(["---"] * len(self.titles))

    def add(self, row):
        self.rows.append(row)
        self.show(row.cells())


def main(title, parts, extra_parts, ours="awaitd", facts=()):
    """The command line of a benchmark. `parts` maps names to generators of rows, all of which run
    unless some are named; `extra_parts` run only when named. The result is the exit code: only a
    side that could not be started or measured is a failure, a missed aim is not."""
    every = {**parts, **extra_parts}
    parser = argparse.ArgumentParser(description=title)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of: {' '.join(every)}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="of the numbers of requests")
    parser.add_argument("--folder", default=str(BUILD / "bench"), help="on the disk to measure")
    parser.add_argument("--markdown", action="store_true", help="rows for docs/BENCHMARKS.md")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.parts if name not in every]
    if unknown:
        parser.error(f"no part {' '.join(unknown)}; there are: {' '.join(every)}")
    settings = Settings(arguments.rounds, arguments.scale, arguments.folder)
    print(f"{title}, medians of {settings.rounds} rounds, amounts x {settings.scale:g}")
    for line in machine(settings.base) + list(facts):
        print(f"  {line}")
    print()
    table = Table(arguments.markdown, ours)
    table.head()
    broken = []
    for name in arguments.parts or parts:
        try:
            for row in every[name](settings):
                table.add(row)
        except Exception:  # the other parts are still worth their time
            broken.append(name)
            print(f"part {name} could not be measured:\n{traceback.format_exc()}", flush=True)
    wanted = [row for row in table.rows if row.has_aim]
    missed = [row.case for row in wanted if not row.kept]
    print(f"\n{len(wanted) - len(missed)} of {len(wanted)} aims met"
          + (f"; missed: {'; '.join(missed)}" if missed else ""))
    if broken:
        print(f"not measured: {' '.join(broken)}")
    return 1 if broken else 0
