"""test_redis_target.py - the redis target: replies pass through, errors are classed, and no
command harms the rest."""

import pytest

from harness import process, wire, daemon


def test_submit_then_run(client, redis_client):
    job = client.call("SUBMIT", "cache", "SET", "k", "v")
    assert client.call("AWAIT", job) == "OK"
    assert client.call("RUN", "cache", "GET", "k") == b"v"
    assert redis_client.get("k") == b"v"


def test_reply_types_pass_through(client, redis_client):
    assert client.call("RUN", "cache", "INCR", "n") == 1
    assert client.call("RUN", "cache", "GET", "nosuch") is None
    assert client.call("RUN", "cache", "RPUSH", "l", "a", "b") == 2
    assert client.call("RUN", "cache", "LRANGE", "l", "0", "-1") == [b"a", b"b"]
    assert client.call("RUN", "cache", "LRANGE", "nosuch", "0", "-1") == []
    assert client.call("RUN", "cache", "EVAL", "return {1, {2, 'x'}, false}", "0") == \
        [1, [2, b"x"], None]


def test_binary_values(client, redis_client):
    value = bytes(range(256)) * 16 + b"\r\n\x00"
    job = client.call("SUBMIT", "cache", "SET", b"key\x00\r\n", value)
    assert client.call("AWAIT", job) == "OK"
    assert client.call("RUN", "cache", "GET", b"key\x00\r\n") == value
    assert redis_client.get(b"key\x00\r\n") == value
    assert client.call("RUN", "cache", "SET", "empty", "") == "OK"
    assert client.call("RUN", "cache", "GET", "empty") == b""


def test_value_of_some_megabytes(client, redis_client):
    value = b"x" * (4 << 20)
    assert client.call("RUN", "cache", "SET", "big", value) == "OK"
    assert client.call("RUN", "cache", "GET", "big") == value


def test_wrong_command_is_dead_at_once(client, redis_client):
    redis_client.set("text", "abc")
    for command in (("INCR", "text"), ("LPUSH", "text", "x"), ("NOSUCH",), ("GET",)):
        job = client.call("SUBMIT", "RETRY", "5", "cache", *command)
        assert client.call("AWAIT", job).startswith("FAILED "), command
        fields = wire.as_map(client.call("JOB", job))
        assert wire.text(fields["state"]) == "dead"
        assert int(fields["attempts"]) == 1
    assert "WRONGTYPE" in client.call("RUN", "cache", "LPUSH", "text", "x")


HOSTILE = [
    ("SUBSCRIBE", "x"), ("PSUBSCRIBE", "x"), ("MONITOR",), ("MULTI",), ("EXEC",), ("WATCH", "k"),
    ("QUIT",), ("SELECT", "5"), ("HELLO", "3"), ("RESET",), ("CLIENT", "REPLY", "OFF"),
    ("CLIENT", "REPLY", "SKIP"), ("BLPOP", "nosuch", "0"), ("AUTH", "x"), ("CLIENT", "KILL", "TYPE",
     "normal", "SKIPME", "no"),
]


@pytest.mark.parametrize("command", HOSTILE, ids=" ".join)
def test_hostile_command_harms_nobody_else(client, redis_client, command):
    """Whatever it answers, it answers, and the commands on the same connection work as before."""
    client.call("RUN", "TIMEOUT", "3000", "cache", *command)
    jobs = client.pipeline(("SUBMIT", "cache", "SET", f"k{number}", str(number))
                           for number in range(50))
    assert client.call("GATHER", *jobs) == ["OK"] * 50
    for number in range(50):
        assert client.call("RUN", "cache", "GET", f"k{number}") == str(number).encode()
    assert redis_client.dbsize() == 50


def test_jobs_wait_for_an_absent_server_without_attempts(make_daemon, redis_server, redis_client):
    server = redis_server
    try:
        own = make_daemon(daemon.target("cache", "redis", uri=server.uri)).start()
        with own.connect() as client:
            assert client.call("RUN", "cache", "PING") == "PONG"
            server.stop()
            jobs = client.pipeline(("SUBMIT", "cache", "INCR", "n") for _ in range(200))
            assert client.call("RUN", "TIMEOUT", "5000", "cache", "PING").word == "UNAVAILABLE"
            assert client.call("AWAIT", jobs[0], "TIMEOUT", "0").word == "TIMEOUT"
            server.start()
            assert sorted(client.call("GATHER", *jobs)) == list(range(1, 201))
            for job in jobs:
                assert int(wire.as_map(client.call("JOB", job))["attempts"]) <= 1
    finally:
        if not server.running:
            server.start()


def test_read_only_server_is_waited_for(client, redis_client):
    redis_client.execute_command("REPLICAOF", "127.0.0.1", "1")
    try:
        job = client.call("SUBMIT", "RETRY", "1000", "BACKOFF", "10", "50", "cache", "SET", "late",
                          "yes")
        assert client.call("AWAIT", job, "TIMEOUT", "300").word == "TIMEOUT"
    finally:
        redis_client.execute_command("REPLICAOF", "NO", "ONE")
    assert client.call("AWAIT", job) == "OK"
    process.wait_until(lambda: redis_client.get("late") == b"yes", 10, "the value")
