"""bench_lib.py - `make bench-lib`: libawait against Go, asyncio, uvloop, libuv and the clients and
tools of others, a line a case.

    make bench-lib                                 all parts
    make bench-lib BENCH='tasks echo --rounds 1'   some of them

The programs are in tests/bench/lib/. Go runs on one processor (GOMAXPROCS=1), as the others do.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import measure
from measure import BUILD, Row, cpu_seconds, pgbench, redis_benchmark, run_program, system_calls

from harness import process  # noqa: E402 (measure makes the path)
from harness.postgres import Postgres
from harness.redis_server import RedisServer

PROGRAMS = BUILD / "tests" / "bench" / "lib"
SOURCES = pathlib.Path(__file__).resolve().parent / "lib"
GO = {**os.environ, "GOMAXPROCS": "1"}


def native(name, *arguments):
    return run_program(PROGRAMS / name, *arguments)[0]


def go(name, *arguments):
    return run_program(PROGRAMS / f"{name}_go", *arguments, env=GO)[0]


def python(name, *arguments):
    return run_program(sys.executable, SOURCES / f"{name}.py", *arguments)[0]


# --- tasks -------------------------------------------------------------------------------------
# case, unit, what, amounts (C, Go, Python), our own aim, the aims against Go and uvloop
TASKS = [
    ("task switch, 100 tasks yield", "ns", "switch", (5_000_000, 2_000_000, 500_000), 20, 1,
     1 / 20),
    ("hand over between two tasks", "ns", "handover", (2_000_000, 1_000_000, 200_000), None, None,
     None),
    ("spawn and await", "ns", "spawn", (2_000_000, 1_000_000, 100_000), 150, 1, 1 / 20),
    ("100,000 gathered sleeps of 1 s", "s", "sleep", (100_000, 100_000, 100_000), 1.2, None, None),
    ("a million sleeping tasks, each", "bytes", "resident", (1_000_000, 1_000_000, 200_000),
     4.6 * 1024, None, None),
]


def tasks(settings):
    for case, unit, what, amounts, floor, go_aim, uvloop_aim in TASKS:
        # what is a promise of its own about an amount is never scaled
        counts = amounts if floor and what in ("sleep", "resident") else [
            settings.count(amount, 1000) for amount in amounts]
        if what == "sleep":
            # In a virtual machine the first use of a page by anybody costs ten times what the
            # second does; whoever comes first would pay for all. So one turn is not counted.
            native("tasks", what, counts[0])
        ours, gos, asyncios, uvloops = settings.in_turn(
            lambda: native("tasks", what, counts[0]), lambda: go("tasks", what, counts[1]),
            lambda: python("tasks", what, counts[2]),
            lambda: python("tasks", what, counts[2], "uvloop"))
        for peer, found, aim in (("Go, GOMAXPROCS=1", gos, go_aim), ("uvloop", uvloops, uvloop_aim),
                                 ("asyncio", asyncios, None)):
            yield Row(case, unit, ours, peer, found, aim=aim, less=True,
                      floor=floor if peer.startswith("Go") else None)


# --- an echo server ----------------------------------------------------------------------------
ECHO = {
    "libawait": [PROGRAMS / "echo_await"],
    "libuv": [PROGRAMS / "echo_uv"],
    "Go, GOMAXPROCS=1": [PROGRAMS / "echo_go"],
    "asyncio + uvloop": [sys.executable, SOURCES / "echo.py"],
}
# connections, requests
ECHO_LOADS = [(1, 40000), (100, 200000), (1000, 200000)]


class Echo:
    """A server that prints its port first."""

    def __init__(self, command):
        self.folder = process.temporary_folder("echo")
        self.server = process.Process(command, self.folder / "log", environment=GO)
        self.pid = self.server.pid
        try:
            process.wait_until(self.printed_port, 60, f"{command[0]} to print its port")
        except BaseException:
            self.close()
            raise
        self.port = int(self.server.output())

    def printed_port(self):
        if not self.server.running:
            raise RuntimeError(f"does not start: {self.server.output()[-2000:]}")
        return self.server.output().endswith("\n")

    def close(self):
        self.server.end()
        shutil.rmtree(self.folder, ignore_errors=True)


def echo_once(command, connections, requests):
    """Requests a second, p50 and p99 in us, the server's CPU us a request."""
    server = Echo(command)
    try:
        native_load = PROGRAMS / "echo_load"
        used = cpu_seconds(server.pid)
        found = run_program(native_load, server.port, connections, requests)
        return found + [(cpu_seconds(server.pid) - used) * 1e6 / requests]
    finally:
        server.close()


def echo_calls(command, connections, requests):
    server = Echo(command)
    try:
        found = system_calls(server.pid, lambda: run_program(
            PROGRAMS / "echo_load", server.port, connections, requests))
        return found / requests if found else None
    finally:
        server.close()


def echo(settings):
    for connections, amount in ECHO_LOADS:
        requests = settings.count(amount, connections)
        found = settings.in_turn(*[
            lambda command=command: echo_once(command, connections, requests)
            for command in ECHO.values()])
        calls = [echo_calls(command, connections, max(connections, requests // 4))
                 for command in ECHO.values()]
        ours = found[0]
        for peer, theirs, peer_calls in list(zip(ECHO, found, calls))[1:]:
            yield Row(f"echo of 64 bytes, {connections} connections", "requests/s", ours[0], peer,
                      theirs[0], aim=1.2 if peer == "libuv" else None, cpu_us=ours[3],
                      calls=calls[0],
                      note=f"p50/p99 us {ours[1]:.0f}/{ours[2]:.0f} (peer {theirs[1]:.0f}/"
                           f"{theirs[2]:.0f}); peer {theirs[3]:.1f} us CPU, {peer_calls or 0:.2f} "
                           "calls")


# --- clients -----------------------------------------------------------------------------------
HTTP_TASKS = 50


def curl(url, count):
    config = f"{url}/[1-{count}]"
    began = time.monotonic()
    subprocess.run([process.need("curl"), "--no-progress-meter", "--fail", "--parallel",
                    "--parallel-max", str(HTTP_TASKS), "--output", "/dev/null", config],
                   timeout=600, check=True, capture_output=True)
    return count / (time.monotonic() - began)


def http(settings):
    count = settings.count(20000, 500)
    server = Echo([PROGRAMS / "http_server_go"])
    url = f"http://127.0.0.1:{server.port}"
    try:
        ours, aiohttp, curls = settings.in_turn(
            lambda: native("clients", "http", url, HTTP_TASKS, count),
            lambda: python("clients", "http", url, HTTP_TASKS, count // 4),
            lambda: curl(url, count // 4))
    finally:
        server.close()
    for peer, found in (("aiohttp + uvloop", aiohttp), ("curl --parallel", curls)):
        yield Row(f"HTTP GET of 1 KiB, {HTTP_TASKS} at once", "requests/s", ours, peer, found,
                  aim=1)


def pgbench_pipeline(server, queries):
    """Queries a second, a hundred in one pipeline and transaction; one thread, as ours."""
    script = "\\startpipeline\n" + "SELECT 1;\n" * 100 + "\\endpipeline\n"
    return 100 * pgbench(server, script, 4, max(1, queries // 400), threads=1)


def postgres(settings):
    server = Postgres()
    try:
        single, hundred, asyncpg, pgbench = settings.in_turn(
            lambda: native("clients", "pg", server.socket_uri, 400, settings.count(200000, 1000)),
            lambda: native("clients", "pg100", server.socket_uri, 16,
                           settings.count(400000, 10000)),
            lambda: python("clients", "pg", server.socket_uri, 400, settings.count(40000, 1000)),
            lambda: pgbench_pipeline(server, settings.count(1_000_000, 400)))
    finally:
        server.close()
    yield Row("SELECT 1, 4 connections", "queries/s", single, "asyncpg", asyncpg, aim=1)
    yield Row("SELECT 1, 100 in a pipeline", "queries/s", hundred, "pgbench \\startpipeline",
              pgbench, aim=0.9)


def redis(settings):
    count = settings.count(1_000_000, 10000)
    server = RedisServer()
    try:
        ours, peer = settings.in_turn(
            lambda: native("clients", "redis", f"unix://{server.socket}", 800, count),
            lambda: redis_benchmark("-s", server.socket, "-c", 50, "-P", 16, "-n", count, "--csv",
                                    "SET", "key", "value")[0])
    finally:
        server.close()
    yield Row("Redis SET, 800 at once", "commands/s", ours, "redis-benchmark -c 50 -P 16", peer,
              aim=0.8)


# --- a file ------------------------------------------------------------------------------------
GIGABYTE = 1 << 30


def cp(source, target):
    """cp, and the copy on the disk, as ours is."""
    target.unlink(missing_ok=True)
    began = time.monotonic()
    subprocess.run(["cp", str(source), str(target)], check=True)
    subprocess.run(["sync", str(target)], check=True)
    return time.monotonic() - began


def copied(source, target):
    target.unlink(missing_ok=True)
    return native("copy_file", source, target)


def copy(settings):
    folder = pathlib.Path(tempfile.mkdtemp(dir=settings.base))
    try:
        source = folder / "source"
        size = settings.count(GIGABYTE, 1 << 20)
        with open(source, "wb") as file:
            block = os.urandom(1 << 20)
            for _ in range(size >> 20):
                file.write(block)
            os.fsync(file.fileno())
        ours, peer = settings.in_turn(lambda: copied(source, folder / "ours"),
                                      lambda: cp(source, folder / "theirs"))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    yield Row(f"copy of {size >> 20} MiB", "s", ours, "cp; sync", peer, aim=1.1, less=True,
              durable="synced, renamed", peer_durable="synced")


PARTS = {"tasks": tasks, "echo": echo, "http": http, "postgres": postgres, "redis": redis,
         "copy": copy}
FACTS = [measure.versions([["go", "version"], [sys.executable, "--version"],
                           ["curl", "--version"], ["redis-server", "--version"],
                           ["psql", "--version"]])]

if __name__ == "__main__":
    sys.exit(measure.main("make bench-lib", PARTS, {}, ours="libawait", facts=FACTS))
