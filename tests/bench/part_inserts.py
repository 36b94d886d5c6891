"""part_inserts.py - durable INSERT jobs end to end: submitted by pipelined clients, committed in
PostgreSQL with synchronous_commit on, marked done. The clock (load.c) runs from the first
submission to the last job that is done, and every row is counted afterwards.

pgbench does the same INSERT without a queue. Celery, RQ and rsyslog's ompgsql do the same work,
from the first message sent to the last row that can be seen; their workers run before it begins.
All share the processors with PostgreSQL.
"""

import pathlib
import shutil
import tempfile
import time

from harness import daemon as daemon_module
from harness import process
from harness.daemon import Daemon

from measure import Row, cpu_seconds, pgbench, run_program, system_calls
from peers import INSERT, ROW, PythonQueue, Rsyslog, durable_postgres

CLIENTS = 4
DEPTH = 500

# name, delivery, coalesce, connections, concurrency, jobs, what to compare with, aims
CASES = [
    ("coalesce 64", "at-least-once", 64, 8, 512, 60000, "hundred", 0.25, 60000),
    ("coalesce 64, exactly once", "exactly-once", 64, 8, 512, 60000, "hundred", None, None),
    ("coalesce 64, default concurrency", "at-least-once", 64, 8, 64, 60000, "hundred", None, None),
    ("one a transaction", "at-least-once", 0, 32, 512, 20000, "single", 0.9, None),
    ("one a transaction, exactly once", "exactly-once", 0, 32, 512, 20000, "single", None, None),
]
PGBENCH = {"single": "pgbench -c 32, one insert", "hundred": "pgbench, 100 pipelined"}
PGBENCH_ROWS = {"single": 80000, "hundred": 800000}
DURABLE = "synced before OK and done"

# jobs of each; the best of them is to be beaten twentyfold
PEERS = {"Celery": 2000, "RQ": 1000, "rsyslog ompgsql": 5000}
PEER_AIM = 20
PEER_DURABLE = {
    "Celery": "broker synced, acks_late",
    "RQ": "broker synced",
    "rsyslog ompgsql": "disk queue synced, no answer",
}


def rows_by_pgbench(server, which, number):
    """Rows a second."""
    insert = f"INSERT INTO effect (v) VALUES ('{ROW}');\n"
    server.query("TRUNCATE effect")
    if which == "single":
        return pgbench(server, insert, 32, max(1, number // 32))
    script = "\\startpipeline\n" + insert * 100 + "\\endpipeline\n"
    return 100 * pgbench(server, script, 8, max(1, number // 800))


def drive(server, daemon, jobs):
    """Seconds from the first submission to the last job done."""
    _, seconds = run_program("load", daemon.socket, CLIENTS, jobs, DEPTH, "main", INSERT, ROW)
    return seconds


def ours(server, base, case, jobs, counted=False):
    """Jobs a second, the daemon's microseconds a job, jobs a transaction; or, counted, system calls
    a job."""
    _, delivery, coalesce, connections, concurrency = case[:5]
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
        if counted:
            found = system_calls(daemon.pid, lambda: drive(server, daemon, jobs))
            return found / jobs if found else None
        used = cpu_seconds(daemon.pid)
        elapsed = drive(server, daemon, jobs)
        used = cpu_seconds(daemon.pid) - used
        rows_found = server.value("SELECT count(*) FROM effect")
        assert rows_found == jobs, f"{rows_found} rows of {jobs} jobs"
        transactions = server.value("SELECT count(DISTINCT xmin::text) FROM effect")
        return [jobs / elapsed, used * 1e6 / jobs, jobs / transactions]
    finally:
        daemon.close()
        shutil.rmtree(folder, ignore_errors=True)


def count_rows(server, jobs, peer):
    process.wait_until(lambda: server.value("SELECT count(*) FROM effect") >= jobs, 600,
                       f"the rows of {peer}")


def rsyslog(server, jobs):
    server.query("TRUNCATE effect")
    peer = Rsyslog(server)
    try:
        began = time.monotonic()
        peer.send(jobs)
        count_rows(server, jobs, "rsyslog")
        return jobs / (time.monotonic() - began)
    finally:
        peer.close()


def python_queue(server, kind, jobs):
    server.query("TRUNCATE effect")
    queue = PythonQueue(kind, server.uri)
    try:
        queue.start_workers()
        queue.submit(2)
        count_rows(server, 2, kind)
        began = time.monotonic()
        queue.submit(jobs)
        count_rows(server, jobs + 2, kind)
        queue.wait_idle()
        return jobs / (time.monotonic() - began)
    finally:
        queue.close()


def peer_rate(server, name, jobs):
    if name == "rsyslog ompgsql":
        return rsyslog(server, jobs)
    return python_queue(server, name.lower(), jobs)


def rows(settings):
    server = durable_postgres()
    try:
        counts = [settings.count(case[5], 1000) for case in CASES]
        turns = [lambda which=which, number=settings.count(number, 1000): rows_by_pgbench(
            server, which, number) for which, number in PGBENCH_ROWS.items()]
        turns += [lambda case=case, jobs=jobs: ours(server, settings.base, case, jobs)
                  for case, jobs in zip(CASES, counts)]
        turns += [lambda name=name, jobs=settings.count(jobs, 100): peer_rate(server, name, jobs)
                  for name, jobs in PEERS.items()]
        found = settings.in_turn(*turns)
        single, hundred = found[:2]
        mine = found[2:2 + len(CASES)]
        for case, (rate, cpu, gathered), jobs in zip(CASES, mine, counts):
            calls = ours(server, settings.base, case, jobs // 4, counted=True)
            yield Row(f"INSERT jobs, {case[0]}", "jobs/s", rate, PGBENCH[case[6]],
                      {"single": single, "hundred": hundred}[case[6]], aim=case[7], floor=case[8],
                      cpu_us=cpu, calls=calls, durable=DURABLE,
                      peer_durable="synchronous_commit on",
                      note=f"{gathered:.0f} jobs a transaction")
        for (name, _), rate in zip(PEERS.items(), found[2 + len(CASES):]):
            yield Row(f"INSERT jobs, {CASES[0][0]}", "jobs/s", mine[0][0], name, rate,
                      aim=PEER_AIM, cpu_us=mine[0][1], durable=DURABLE,
                      peer_durable=PEER_DURABLE[name])
    finally:
        server.close()
