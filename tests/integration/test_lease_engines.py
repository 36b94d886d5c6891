"""test_lease_engines.py - leased connections of SQLite and Redis."""

import pytest

from harness import process
from harness.leasing import (  # noqa: F401 (fixtures)
    begin_briefly, client, count, leasing, run, values, wait_free)


# --- SQLite ---------------------------------------------------------------------------------------

@pytest.fixture
def things(client):
    assert run(client, "CREATE TABLE things (v TEXT UNIQUE)", target="local") == "CREATE TABLE"
    return "things"


def local(client, sql, *parameters):
    return run(client, sql, *parameters, target="local")


def test_sqlite_transaction(client, leasing, things):
    with leasing.connect() as other:
        assert client.call("ENTER", "local") == "OK"
        assert local(client, "BEGIN") == "BEGIN"
        assert local(client, f"INSERT INTO {things} VALUES (?)", "a") == "INSERT 0 1"
        assert local(client, "SAVEPOINT s") == "SAVEPOINT"
        assert local(client, f"INSERT INTO {things} VALUES ('b') RETURNING v") == [[b"v"], [b"b"]]
        assert local(client, "ROLLBACK TO s") == "ROLLBACK"
        assert values(local(other, f"SELECT v FROM {things}")) == [], "isolated"
        assert local(client, "COMMIT") == "COMMIT"
        assert values(local(other, f"SELECT v FROM {things}")) == [b"a"]
        assert local(client, "BEGIN IMMEDIATE") == "BEGIN"
        assert local(client, f"DELETE FROM {things}") == "DELETE 1"
        assert client.call("EXIT") == "ROLLBACK"
        assert values(local(other, f"SELECT v FROM {things}")) == [b"a"]
        for word in ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT s", "BEGIN IMMEDIATE"):
            assert "not allowed here" in local(client, word), "nothing cached lets a job do it"


def test_sqlite_lease_refuses_what_cannot_be_cleaned(client, things):
    client.call("ENTER", "local")
    for sql in ("CREATE TEMP TABLE t (n)", "PRAGMA foreign_keys = OFF", "ATTACH 'x.db' AS x"):
        assert local(client, sql).startswith("FAILED "), sql
    assert client.call("RUN", "local", "TX", "1", "SELECT 1", "0") \
        .startswith("ERR target local: TX")
    assert client.call("EXIT") == "OK"


def test_sqlite_writers_wait_for_a_lease_that_has_written(client, leasing, things):
    with leasing.connect() as reader, leasing.connect() as writer:
        client.call("ENTER", "local")
        local(client, "BEGIN")
        local(client, f"INSERT INTO {things} VALUES ('a')")
        writer.send("RUN", "local", f"INSERT INTO {things} VALUES ('b')")
        assert values(local(reader, f"SELECT v FROM {things}")) == [], "readers go on"
        assert local(client, f"INSERT INTO {things} VALUES ('c')") == "INSERT 0 1"
        assert local(client, "COMMIT") == "COMMIT"
        assert writer.read() == "INSERT 0 1"
        assert values(local(reader, f"SELECT v FROM {things} ORDER BY rowid")) == \
            [b"a", b"c", b"b"]


def test_sqlite_deadline_frees_the_writers(client, leasing, things):
    with leasing.connect() as writer:
        said = begin_briefly(client, "local", ("BEGIN",), (f"INSERT INTO {things} VALUES ('a')",))
        assert local(writer, f"INSERT INTO {things} VALUES ('b')") == "INSERT 0 1"
        assert local(client, "COMMIT") == said
        assert client.call("EXIT") == said
        assert values(local(writer, f"SELECT v FROM {things}")) == [b"b"]


@pytest.mark.parametrize("steps", range(1, 6))
def test_sqlite_disconnect_after_each_step(leasing, client, things, steps):
    sent = [("ENTER", "local"), ("RUN", "local", "BEGIN"),
            ("RUN", "local", f"INSERT INTO {things} VALUES ('a')"),
            ("RUN", "local", f"INSERT INTO {things} VALUES ('a')"),
            ("RUN", "local", "SELECT sleep(600000)")][:steps]
    for wait_for_replies in (True, False):
        with leasing.connect() as one:
            for step in sent:
                one.send(*step)
                if wait_for_replies and "sleep" not in step[-1]:
                    one.read()
        wait_free(leasing, "local")
        assert values(local(client, f"SELECT count(*) FROM {things}")) == [b"0"]
        assert local(client, f"INSERT INTO {things} VALUES ('z')") == "INSERT 0 1"
        assert local(client, f"DELETE FROM {things}") == "DELETE 1"


def test_sqlite_rolled_back_by_itself_refuses_until_rollback(client, things):
    client.call("ENTER", "local")
    local(client, "BEGIN")
    assert local(client, f"INSERT INTO {things} VALUES ('a')") == "INSERT 0 1"
    assert local(client, f"INSERT OR ROLLBACK INTO {things} VALUES ('a')").startswith(
        "FAILED SQLITE_CONSTRAINT_UNIQUE ")
    for sql in (f"INSERT INTO {things} VALUES ('outside')", "COMMIT", "ROLLBACK TO s"):
        assert local(client, sql).startswith("FAILED SQLITE_ABORT_ROLLBACK "), sql
    assert local(client, "ROLLBACK") == "ROLLBACK"
    assert values(local(client, f"SELECT count(*) FROM {things}")) == [b"0"]
    assert local(client, f"INSERT INTO {things} VALUES ('b')") == "INSERT 0 1"
    assert client.call("EXIT") == "OK"
    assert values(local(client, f"SELECT v FROM {things}")) == [b"b"]


def test_sqlite_checkpoints_go_on_with_a_lease_at_rest(client, leasing, things):
    """An idle lease is no reason for the WAL to grow."""
    client.call("ENTER", "local")
    assert values(local(client, "SELECT 1")) == [b"1"]
    with leasing.connect() as writer:
        for _ in range(14):
            assert local(writer, f"INSERT INTO {things} VALUES (hex(randomblob(500000)))") == \
                "INSERT 0 1"
        wal = leasing.state / "local.db-wal"
        assert wal.stat().st_size < 10 << 20
    assert values(local(client, f"SELECT count(*) FROM {things}")) == [b"14"]


# --- Redis ----------------------------------------------------------------------------------------

def cache(client, *words):
    return client.call("RUN", "cache", *words)


def test_redis_transaction(client, redis_client):
    assert client.call("ENTER", "cache") == "OK"
    assert cache(client, "MULTI") == "OK"
    assert cache(client, "SET", "k", "1") == "QUEUED"
    assert cache(client, "INCR", "k") == "QUEUED"
    assert redis_client.get("k") is None
    assert cache(client, "EXEC") == ["OK", 2]
    assert client.call("EXIT") == "OK"
    assert redis_client.get("k") == b"2"
    assert "is refused" in cache(client, "MULTI")


def test_redis_watch_sees_the_others(client, redis_client):
    client.call("ENTER", "cache")
    for meddle in (True, False):
        assert cache(client, "WATCH", "w") == "OK"
        cache(client, "GET", "w")
        if meddle:
            redis_client.set("w", "other")
        assert cache(client, "MULTI") == "OK"
        assert cache(client, "SET", "w", "mine") == "QUEUED"
        assert cache(client, "EXEC") == (None if meddle else ["OK"])
    assert redis_client.get("w") == b"mine"


def test_redis_exit_discards(client, redis_client):
    client.call("ENTER", "cache")
    cache(client, "MULTI")
    cache(client, "SET", "k", "1")
    assert client.call("EXIT") == "ROLLBACK"
    assert redis_client.get("k") is None
    client.call("ENTER", "cache")
    assert cache(client, "GET", "k") is None, "a new connection: no MULTI is open"
    assert cache(client, "SELECT", "3") == "OK"
    assert cache(client, "SET", "k", "three") == "OK"
    assert client.call("EXIT") == "OK"
    assert cache(client, "GET", "k") is None, "back in database 0"


def test_redis_an_aborted_transaction_is_over(client):
    client.call("ENTER", "cache")
    cache(client, "MULTI")
    assert cache(client, "NOSUCHCOMMAND").startswith("FAILED ERR ")
    assert cache(client, "EXEC").startswith("FAILED EXECABORT ")
    assert client.call("EXIT") == "OK"


def test_redis_refuses_what_ends_the_conversation(client):
    client.call("ENTER", "cache")
    for words in (("SUBSCRIBE", "c"), ("MONITOR",), ("HELLO", "3"), ("QUIT",), ("RESET",),
                  ("CLIENT", "REPLY", "OFF")):
        assert "is refused" in cache(client, *words), words
    assert cache(client, "PING") == "PONG"


@pytest.mark.parametrize("steps", range(1, 5))
def test_redis_disconnect_after_each_step(leasing, redis_client, steps):
    before = len(redis_client.client_list())
    sent = [("ENTER", "cache"), ("RUN", "cache", "MULTI"), ("RUN", "cache", "SET", "k", "1"),
            ("RUN", "cache", "INCR", "k")][:steps]
    for wait_for_replies in (True, False):
        with leasing.connect() as one:
            for step in sent:
                one.send(*step)
                if wait_for_replies:
                    one.read()
        wait_free(leasing, "cache")
        assert redis_client.get("k") is None
    process.wait_until(lambda: len(redis_client.client_list()) <= before, 60,
                       "the lease's connections to close")


def test_redis_blocking_command_at_disconnect(leasing, redis_client):
    one = leasing.connect()
    one.call("ENTER", "cache")
    one.send("RUN", "cache", "BLPOP", "list", "0")
    process.wait_until(lambda: any(c["cmd"] == "blpop" for c in redis_client.client_list()), 60,
                       "BLPOP to block")
    one.close()
    wait_free(leasing, "cache")
    redis_client.rpush("list", "kept")
    assert redis_client.llen("list") == 1


def test_redis_deadline_and_killed_connection(client, leasing, redis_client):
    said = begin_briefly(client, "cache", ("MULTI",), ("SET", "k", "1"))
    wait_free(leasing, "cache")
    assert cache(client, "EXEC") == said
    assert client.call("EXIT") == said
    client.call("ENTER", "cache")
    cache(client, "MULTI")
    mine = cache(client, "CLIENT", "ID")
    assert mine == "QUEUED"
    redis_client.client_kill_filter(_type="normal", skipme=True)
    wait_free(leasing, "cache")
    assert cache(client, "EXEC").startswith("UNAVAILABLE lease on cache ended: ")
    assert redis_client.get("k") is None


def test_redis_commands_of_jobs_go_on(client, leasing):
    client.call("ENTER", "cache")
    cache(client, "MULTI")
    with leasing.connect() as other:
        assert cache(other, "ECHO", "x") == b"x"
        job = other.call("SUBMIT", "cache", "INCR", "n")
        assert isinstance(other.call("AWAIT", job), int)
    assert cache(client, "DISCARD") == "OK"
    assert client.call("EXIT") == "OK"
