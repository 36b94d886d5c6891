"""bench_postgres.py - `make bench-postgres`: durable INSERT jobs end to end against pgbench.

A job is submitted by pipelined clients (durable in awaitd's queue), executed on PostgreSQL with
synchronous_commit on, and marked done, durably. The clock runs from the first submission to the
last job that is done. pgbench does the same INSERT, one a transaction over 32 connections, and a
hundred in one pipelined transaction; it has no queue. All share the processors with PostgreSQL.
"""

import argparse
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))

from bench import cpu_seconds, machine  # noqa: E402
from harness import daemon as daemon_module  # noqa: E402
from harness import process, wire  # noqa: E402
from harness.daemon import BUILD, Daemon  # noqa: E402
from harness.postgres import Postgres, binaries  # noqa: E402

INSERT = "INSERT INTO effect (v) VALUES ($1)"
ROW = "x" * 100
CLIENTS = 4

# name, delivery, coalesce, connections, concurrency, jobs, aim against pgbench -c 32
CASES = [
    ("one a transaction", "at-least-once", 0, 32, 512, 20000, 0.9),
    ("one a transaction, exactly once", "exactly-once", 0, 32, 512, 20000, None),
    ("up to 64", "at-least-once", 64, 8, 512, 60000, None),
    ("up to 64, exactly once", "exactly-once", 64, 8, 512, 60000, None),
    ("up to 64, default concurrency", "at-least-once", 64, 8, 64, 60000, None),
]

DURABILITY = [
    "awaitd:     WAL on the disk before SUBMIT answers and before a job is done",
    "PostgreSQL: fsync on, synchronous_commit on, for all",
]


def start_postgres():
    server = Postgres()
    with open(server.data / "postgresql.conf", "a", encoding="utf-8") as settings:
        settings.write("fsync = on\nsynchronous_commit = on\nshared_buffers = 128MB\n"
                       "max_connections = 100\nmax_wal_size = 4GB\n")
    server.stop()
    server.start()
    server.query("CREATE TABLE effect (v text)")
    return server


def pgbench(server, script, clients, per_transaction, seconds):
    """Rows a second."""
    file = server.folder / "script.sql"
    file.write_text(script, encoding="utf-8")
    server.query("TRUNCATE effect")
    result = subprocess.run(
        [str(binaries() / "pgbench"), "-n", "-M", "prepared", "-c", str(clients), "-j",
         str(os.cpu_count()), "-T", str(seconds), "-f", str(file), "-h", str(server.folder), "-p",
         str(server.port), "-U", "postgres", "postgres"],
        capture_output=True, text=True, timeout=seconds + 120, check=True)
    line = next(line for line in result.stdout.splitlines() if line.startswith("tps"))
    return float(line.split()[2]) * per_transaction


def single(server, seconds):
    return pgbench(server, f"INSERT INTO effect (v) VALUES ('{ROW}');\n", 32, 1, seconds)


def hundred(server, seconds):
    insert = f"INSERT INTO effect (v) VALUES ('{ROW}');\n"
    return pgbench(server, "\\startpipeline\n" + insert * 100 + "\\endpipeline\n", 8, 100, seconds)


def submit(daemon, jobs):
    one = wire.encode("SUBMIT", "main", INSERT, ROW)
    with daemon.connect() as client:
        for begin in range(0, jobs, 1000):
            count = min(1000, jobs - begin)
            client.send_raw(one * count)
            for _ in range(count):
                assert client.read().isdigit()


def awaitd(server, base, case, jobs):
    """Jobs a second, and the daemon's microseconds a job."""
    _, delivery, coalesce, connections, concurrency, _, _ = case
    folder = pathlib.Path(tempfile.mkdtemp(dir=base))
    server.query("TRUNCATE effect")
    daemon = Daemon(daemon_module.target("main", "postgres", uri=server.socket_uri,
                                         delivery=delivery, connections=connections,
                                         coalesce=coalesce),
                    f"[queue default]\nconcurrency = {concurrency}\nkeep = 0\n", state=folder)
    daemon.start()
    try:
        with daemon.connect() as client:
            client.call("AWAIT", client.call("SUBMIT", "main", "SELECT 1"), "TIMEOUT", "60000")
        done = int(daemon.info()["total_done"]) + jobs
        used = cpu_seconds(daemon.pid)
        began = time.monotonic()
        clients = [threading.Thread(target=submit, args=(daemon, jobs // CLIENTS))
                   for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        process.wait_until(lambda: int(daemon.info()["total_done"]) >= done, 600,
                           "the jobs to be done")
        elapsed = time.monotonic() - began
        used = cpu_seconds(daemon.pid) - used
        rows = server.value("SELECT count(*) FROM effect")
        assert rows == jobs, f"{rows} rows of {jobs} jobs"
        transactions = server.value("SELECT count(DISTINCT xmin::text) FROM effect")
        return jobs / elapsed, used * 1e6 / jobs, jobs / transactions
    finally:
        daemon.close()
        shutil.rmtree(folder, ignore_errors=True)


def measure(server, base, rounds, scale):
    peers = {"single": [], "hundred": []}
    runs = {case[0]: [] for case in CASES}
    for _ in range(rounds):
        peers["single"].append(single(server, max(1, int(4 * scale))))
        peers["hundred"].append(hundred(server, max(1, int(4 * scale))))
        for case in CASES:
            jobs = max(CLIENTS, int(case[5] * scale) // CLIENTS * CLIENTS)
            runs[case[0]].append(awaitd(server, base, case, jobs))
    return ({name: statistics.median(values) for name, values in peers.items()},
            {name: [statistics.median(column) for column in zip(*values)]
             for name, values in runs.items()})


def show(peers, found):
    kept = True
    print(f"\npgbench, rows/s: one a transaction, 32 clients: {peers['single']:.0f}; a hundred in "
          f"a pipelined transaction, 8 clients: {peers['hundred']:.0f}")
    print(f"\n{'INSERT jobs, end to end':34} {'jobs/s':>8} {'to single':>10} {'to hundred':>11} "
          f"{'CPU us/job':>11} {'jobs/transaction':>17}")
    for name, _, _, _, _, _, aim in CASES:
        rate, cpu, gathered = found[name]
        ratio = rate / peers["single"]
        kept &= aim is None or ratio >= aim
        print(f"{name:34} {rate:8.0f} {ratio:10.2f} {rate / peers['hundred']:11.2f} {cpu:11.1f} "
              f"{gathered:17.1f}{'' if aim is None else f'   aim {aim:g} to single'}", flush=True)
    return kept


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="of the numbers of jobs")
    parser.add_argument("--folder", default=str(BUILD / "bench"), help="of awaitd's queue")
    arguments = parser.parse_args()
    base = pathlib.Path(arguments.folder)
    base.mkdir(parents=True, exist_ok=True)
    print(f"make bench-postgres: medians of {arguments.rounds} runs")
    for line in machine(base) + DURABILITY:
        print(f"  {line}")
    server = start_postgres()
    try:
        kept = show(*measure(server, base, arguments.rounds, arguments.scale))
    finally:
        server.close()
    print("every aim is met" if kept else "an aim is missed")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
