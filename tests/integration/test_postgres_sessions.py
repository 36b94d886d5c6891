"""test_postgres_sessions.py - the postgres target's sessions: behind a pooler, with several hosts,
over TLS, with the server's own timeouts; how many there are, and no job's traces reach the next.
"""

import ctypes
import os
import shutil
import socket
import subprocess

import psycopg2
import pytest

from harness import daemon as daemon_module
from harness import pgbouncer as pgbouncer_module
from harness import postgres as postgres_module
from harness import process, proxy, wire

SESSIONS = ("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'awaitd%%' AND "
            "backend_type = 'client backend'")
WIDE = "[queue default]\nconcurrency = 200\nretry = 0\n"


def target(uri, **keys):
    return daemon_module.target("main", "postgres", uri=uri, **keys)


def done(client, ids):
    """The answers; every job must have ended well, with its first attempt."""
    answers = client.call("GATHER", *ids)
    for job, answer in zip(ids, answers):
        fields = wire.as_map(client.call("JOB", job))
        assert (fields["state"], fields["attempts"]) == (b"done", 1), (answer, fields)
    return answers


@pytest.fixture
def pgbouncer(postgres):
    server = pgbouncer_module.Pgbouncer(postgres)
    yield server
    server.close()


@pytest.mark.parametrize(("delivery", "coalesce"), [("at-least-once", 0), ("exactly-once", 0),
                                                    ("exactly-once", 64)])
def test_behind_pgbouncer(make_daemon, postgres, pgbouncer, table, delivery, coalesce):
    """In transaction mode each transaction may be on another session, with nothing prepared."""
    own = make_daemon(target(pgbouncer.uri, delivery=delivery, coalesce=coalesce,
                             receipt_keep="0"), WIDE).start()
    with own.connect() as client:
        ids = client.pipeline(
            ("SUBMIT", "main", f"INSERT INTO {table}(v) VALUES ($1) RETURNING v", str(number))
            for number in range(300))
        answers = done(client, ids)
        assert answers == [[[b"v"], [str(number).encode()]] for number in range(300)]
        done(client, client.pipeline(("SUBMIT", "main", sql) for _ in range(20) for sql in
                                     ("SELECT pg_backend_pid() > 0 AS p", "SELECT 1 AS one",
                                      "SELECT set_config('work_mem', '9MB', true)")))
    assert postgres.value(f"SELECT count(*) FROM {table}") == 300
    own.stop()


def test_no_traces_of_a_job(make_daemon, postgres):
    """Jobs of one connection, sent one behind the other without waiting for answers."""
    look = ("SELECT concat_ws(' ', current_setting('work_mem'), current_user, (SELECT count(*) "
            "FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()))")
    leave = ("SELECT set_config('work_mem', '99MB', false), pg_advisory_lock(4711), "
             "set_config('role', 'pg_monitor', false)")
    own = make_daemon(target(postgres.uri, connections=1), WIDE).start()
    with own.connect() as client:
        ids = client.pipeline(("SUBMIT", "main", sql) for _ in range(50) for sql in (leave, look))
        for answer in done(client, ids)[1::2]:
            assert answer[1] == [b"4MB postgres 0"]
    own.stop()


def test_timeouts_of_the_server(make_daemon, postgres, table):
    """Those of the uri hold for every job; what they end may pass and is tried again."""
    uri = postgres.uri + "&options=-c%20statement_timeout%3D300%20-c%20lock_timeout%3D100"
    own = make_daemon(target(uri), WIDE).start()
    holder = psycopg2.connect(postgres.uri)
    holder.cursor().execute(f"LOCK TABLE {table}")
    with own.connect() as client:
        slow = client.call("SUBMIT", "main", "SELECT pg_sleep(1000)")
        locked = client.call("SUBMIT", "RETRY", "1", "BACKOFF", "1", "1", "main",
                             f"SELECT count(*) FROM {table}")
        assert "57014" in client.call("AWAIT", slow)
        assert "55P03" in client.call("AWAIT", locked)
        assert wire.as_map(client.call("JOB", locked))["attempts"] == 2
    holder.close()
    own.stop()


@pytest.fixture(scope="module")
def other():
    """A second server: with TLS, and every transaction read-only, as on a standby."""
    server = postgres_module.Postgres()
    key, certificate = server.data / "server.key", server.data / "server.crt"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj",
                    "/CN=localhost", "-days", "2", "-keyout", str(key), "-out", str(certificate)],
                   check=True, stderr=subprocess.DEVNULL)
    for file in (key, certificate):
        shutil.copystat(server.data / "PG_VERSION", file)
        os.chown(file, (server.data / "PG_VERSION").stat().st_uid, -1)
        file.chmod(0o600)
    with open(server.data / "postgresql.conf", "a", encoding="utf-8") as settings:
        settings.write("ssl = on\ndefault_transaction_read_only = on\n")
    server.certificate = server.folder / "ca.crt"
    shutil.copy(certificate, server.certificate)
    server.certificate.chmod(0o644)
    server.stop()
    server.start()
    yield server
    server.close()


def test_several_hosts_and_the_one_that_takes_writes(make_daemon, postgres, other, table):
    """Nobody, then one that only reads, then the one that is wanted."""
    hosts = ",".join(f"127.0.0.1:{port}" for port in
                     (process.free_port(), other.port, postgres.port))
    password = f":{postgres.password}" if postgres.password else ""
    uri = f"postgresql://postgres{password}@{hosts}/postgres?target_session_attrs="
    own = make_daemon(target(uri + "read-write") +
                      daemon_module.target("reader", "postgres", uri=uri + "any")).start()
    with own.connect() as client:
        insert = f"INSERT INTO {table}(v) VALUES ('x')"
        assert client.call("AWAIT", client.call("SUBMIT", "main", insert)) == "INSERT 0 1"
        assert client.call("RUN", "reader", "SHOW port")[1] == [str(other.port).encode()]
    own.stop()


def test_tls(make_daemon, postgres, other):
    base = f"postgresql://postgres@localhost:{other.port}/postgres?sslmode="
    wrong = other.folder / "wrong.crt"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj",
                    "/CN=localhost", "-days", "2", "-keyout", "/dev/null", "-out", str(wrong)],
                   check=True, stderr=subprocess.DEVNULL)
    own = make_daemon(target(f"{base}verify-full&sslrootcert={other.certificate}")
                      + daemon_module.target("wrong", "postgres",
                                             uri=f"{base}verify-full&sslrootcert={wrong}")).start()
    big = "x" * 100000
    with own.connect() as client:
        assert client.call("RUN", "main", "SELECT ssl::text FROM pg_stat_ssl WHERE pid = "
                           "pg_backend_pid()")[1] == [b"true"]
        ids = client.pipeline(("SUBMIT", "main", "SELECT $1 AS v", big) for _ in range(20))
        assert [answer[1] for answer in done(client, ids)] == [[big.encode()]] * 20
        reason = process.wait_until(lambda: down_reason(client, "wrong"), 60, "it to be down")
        assert "certificate verify failed" in reason, reason
    own.stop()


def down_reason(client, name):
    for one in map(wire.as_map, client.call("TARGETS")):
        if one["target"] == name.encode() and not one["up"]:
            return wire.text(one["reason"])
    return None


def test_pools_start_lazily_and_grow_to_their_limit(make_daemon, postgres):
    before = postgres.value(SESSIONS)
    own = make_daemon(target(postgres.uri, connections=5), WIDE).start()
    gate = psycopg2.connect(postgres.uri)
    gate.cursor().execute("SELECT pg_advisory_xact_lock(99)")
    with own.connect() as client:
        assert client.call("RUN", "main", "SELECT 1 AS one") == [[b"one"], [b"1"]]
        assert postgres.value(SESSIONS) - before == 1, "one is enough so far"
        ids = client.pipeline(("SUBMIT", "main", "SELECT pg_advisory_xact_lock_shared(99)")
                              for _ in range(50))
        process.wait_until(lambda: postgres.value(SESSIONS) - before == 5, 60, "all to be opened")
        gate.rollback()
        done(client, ids)
    assert postgres.value(SESSIONS) - before == 5
    gate.close()
    own.stop()


def test_slow_statements_do_not_hold_up_the_short_ones_behind_them(make_daemon, postgres, table):
    """As many as there are connections but one wait for the test; all the short ones end first."""
    own = make_daemon(target(postgres.uri, connections=4), WIDE).start()
    gate = psycopg2.connect(postgres.uri)
    gate.cursor().execute("SELECT pg_advisory_xact_lock(98)")
    with own.connect() as client:
        slow = client.pipeline(("SUBMIT", "main", "SELECT pg_advisory_xact_lock_shared(98)")
                               for _ in range(3))
        short = client.pipeline(("SUBMIT", "main", f"INSERT INTO {table}(v) VALUES ($1)", str(n))
                                for n in range(200))
        done(client, short)
        states = [wire.as_map(client.call("JOB", job))["state"] for job in slow]
        assert states == [b"running"] * 3
        gate.rollback()
        done(client, slow)
    gate.close()
    own.stop()


def sockets_of(pid, port):
    """Copies of the TCP sockets that the process has connected to the port."""
    pidfd = os.pidfd_open(pid)
    found = []
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            if not os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:"):
                continue
        except OSError:
            continue
        copy = ctypes.CDLL(None, use_errno=True).syscall(438, pidfd, int(name), 0) # pidfd_getfd
        assert copy >= 0, os.strerror(ctypes.get_errno())
        one = socket.socket(fileno=copy)
        try:
            if one.family == socket.AF_INET and one.getpeername()[1] == port:
                found.append(one)
                continue
        except OSError:
            pass
        one.close()
    os.close(pidfd)
    return found


def test_dead_peers_are_found_by_the_kernel(make_daemon, postgres):
    """What the kernel was told: 30 s of silence on what was sent, and probes of an idle peer."""
    own = make_daemon(target(postgres.uri)).start()
    with own.connect() as client:
        client.call("RUN", "main", "SELECT 1")
    sockets = sockets_of(own.pid, postgres.port)
    assert sockets
    for one in sockets:
        assert one.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30000
        assert one.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert one.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 30
        one.close()
    own.stop()
