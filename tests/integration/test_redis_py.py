"""test_redis_py.py - redis-py is a client without knowing it."""

import pytest
import redis


def test_submit_and_await(three, table):
    client = three.redis()
    job = client.execute_command("SUBMIT", "main", f"INSERT INTO {table}(v) VALUES ($1)", "hello")
    assert client.execute_command("AWAIT", job) == b"INSERT 0 1"
    assert client.execute_command("RUN", "main", "SELECT 1 AS one") == [[b"one"], [b"1"]]


def test_error_replies_are_exceptions(three):
    client = three.redis()
    with pytest.raises(redis.exceptions.ResponseError, match="^FAILED 42P01 "):
        client.execute_command("RUN", "main", "SELECT * FROM nosuch")
    with pytest.raises(redis.exceptions.ResponseError, match="^NOTARGET "):
        client.execute_command("RUN", "nosuch", "x")


def test_pipeline_of_10000(local):
    pipe = local.redis().pipeline(transaction=False)
    for number in range(10000):
        pipe.execute_command("SUBMIT", "DELAY", "3600000", "local", "SELECT ?", str(number))
    assert len(set(pipe.execute())) == 10000


def test_connection_pool_and_health_check(local):
    client = local.redis(health_check_interval=1, client_name="pooled", db=0)
    for _ in range(100):
        assert client.ping()
    assert client.info()["loading"] == 0


def test_gather_holds_errors_in_place(three):
    client = three.redis()
    good = client.execute_command("SUBMIT", "local", "SELECT 1 AS one")
    bad = client.execute_command("SUBMIT", "local", "SELEC 1")
    replies = client.execute_command("GATHER", good, bad)
    assert replies[0] == [[b"one"], [b"1"]]
    assert isinstance(replies[1], redis.exceptions.ResponseError)
