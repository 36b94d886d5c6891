"""test_sqlite.py - the sqlite target: results, sleep(), concurrency, errors, files on disk."""

import sqlite3
import time

import pytest

from harness import process, wire


@pytest.fixture
def connection(local):
    with local.connect() as client:
        yield client


def test_write_then_read(connection):
    assert isinstance(connection.call("RUN", "local", "CREATE TABLE t(v)"), wire.Status)
    job = connection.call("SUBMIT", "local", "INSERT INTO t VALUES (?), (?)", "a", "b")
    assert connection.call("AWAIT", job) == "INSERT 0 2"
    assert connection.call("RUN", "local", "SELECT v FROM t ORDER BY v") == [[b"v"], [b"a"], [b"b"]]
    assert connection.call("RUN", "local", "UPDATE t SET v = ?", "c") == "UPDATE 2"
    assert connection.call("RUN", "local", "DELETE FROM t") == "DELETE 2"


def test_value_types(connection):
    reply = connection.call("RUN", "local",
                            "SELECT 1 AS i, 1.5 AS r, 't' AS t, x'00ff' AS b, NULL AS n")
    assert reply == [[b"i", b"r", b"t", b"b", b"n"], [b"1", b"1.5", b"t", b"\x00\xff", None]]


def test_binary_parameters(connection):
    value = bytes(range(256))
    assert connection.call("RUN", "local", "SELECT hex(?1) AS h", value)[1] == \
        [value.hex().upper().encode()]


def test_gather_of_three_sleeps(connection):
    begin = time.monotonic()
    jobs = [connection.call("SUBMIT", "local", "SELECT sleep(1000)") for _ in range(3)]
    replies = connection.call("GATHER", *jobs)
    assert all(isinstance(reply, list) and not isinstance(reply, wire.Error) for reply in replies)
    assert time.monotonic() - begin >= 0.99


def test_sleeps_run_at_the_same_time(connection):
    """The third is done while two sleep that never would be: it had to wait for neither."""
    endless = [connection.call("SUBMIT", "local", "SELECT sleep(3600000)") for _ in range(2)]
    third = connection.call("SUBMIT", "local", "SELECT sleep(100)")
    assert isinstance(connection.call("AWAIT", third), list)
    for job in endless:
        process.wait_until(lambda one=job: state_of(connection, one) == "running", 60,
                           "the endless to run")
    assert connection.call("CANCEL", *endless) == 2


def state_of(connection, job):
    return wire.text(wire.as_map(connection.call("JOB", job))["state"])


def test_writers_take_turns_and_none_fails(connection):
    connection.call("RUN", "local", "CREATE TABLE n(v)")
    jobs = connection.pipeline(("SUBMIT", "local", "INSERT INTO n VALUES (?)", str(number))
                               for number in range(500))
    assert connection.call("GATHER", *jobs) == ["INSERT 0 1"] * 500
    assert connection.call("RUN", "local", "SELECT count(*) FROM n")[1] == [b"500"]


@pytest.mark.parametrize("sql", ["SELEC 1", "SELECT * FROM nosuch", "SELECT nosuch(1)"])
def test_wrong_statement_is_dead_at_once(connection, sql):
    job = connection.call("SUBMIT", "RETRY", "5", "local", sql)
    assert connection.call("AWAIT", job).startswith("FAILED SQLITE_ERROR ")
    fields = wire.as_map(connection.call("JOB", job))
    assert wire.text(fields["state"]) == "dead"
    assert int(fields["attempts"]) == 1


def test_constraint_is_dead_at_once(connection):
    connection.call("RUN", "local", "CREATE TABLE u(v UNIQUE)")
    assert connection.call("RUN", "local", "INSERT INTO u VALUES (1)") == "INSERT 0 1"
    reply = connection.call("RUN", "local", "INSERT INTO u VALUES (1)")
    assert reply.startswith("FAILED SQLITE_CONSTRAINT"), reply


HOSTILE = [
    "", ";", "SELECT 1; SELECT 2", "BEGIN", "BEGIN IMMEDIATE", "COMMIT", "ROLLBACK", "SAVEPOINT s",
    "ATTACH '/etc/passwd' AS other", "PRAGMA journal_mode = DELETE",
    "PRAGMA locking_mode = EXCLUSIVE", "PRAGMA writable_schema = ON", "VACUUM", "DETACH main",
]


@pytest.mark.parametrize("sql", HOSTILE)
def test_hostile_statement_harms_nobody_else(connection, sql):
    connection.call("RUN", "local", "CREATE TABLE h(v)")
    connection.call("RUN", "TIMEOUT", "60000", "local", sql)
    jobs = connection.pipeline(("SUBMIT", "local", "INSERT INTO h VALUES (?)", str(number))
                               for number in range(20))
    assert connection.call("GATHER", *jobs) == ["INSERT 0 1"] * 20
    assert connection.call("RUN", "local", "SELECT count(*) FROM h")[1] == [b"20"]


ENDLESS = ("WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) "
           "SELECT count(*) FROM c")


def test_long_query_does_not_stop_the_loop(local, connection):
    """It never ends by itself: whoever is answered meanwhile did not wait for it."""
    job = connection.call("SUBMIT", "local", ENDLESS)
    process.wait_until(lambda: state_of(connection, job) == "running", 60, "the query to run")
    with local.connect() as other:
        for _ in range(200):
            assert other.call("PING") == "PONG"
        assert state_of(other, job) == "running"
    assert connection.call("CANCEL", job) == 1
    assert connection.call("AWAIT", job).word == "CANCELLED"


def test_long_query_ends_at_its_timeout(connection):
    assert connection.call("RUN", "TIMEOUT", "300", "local", ENDLESS).word == "TIMEOUT"


def test_result_too_big(connection):
    reply = connection.call("RUN", "local",
                            "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c "
                            "LIMIT 1000000) SELECT hex(zeroblob(500)) FROM c")
    assert isinstance(reply, wire.Error) and "RESULTTOOBIG" in reply, str(reply)[:200]


def test_file_is_an_ordinary_database_afterwards(local, connection):
    connection.call("RUN", "local", "CREATE TABLE f(v)")
    job = connection.call("SUBMIT", "local", "INSERT INTO f VALUES ('kept')")
    assert connection.call("AWAIT", job) == "INSERT 0 1"
    local.stop()
    database = sqlite3.connect(local.state / "local.db")
    try:
        assert database.execute("SELECT v FROM f").fetchall() == [("kept",)]
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    finally:
        database.close()
