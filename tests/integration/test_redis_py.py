"""test_redis_py.py - redis-py is a client without knowing it."""

import json

import pytest
import redis
import redis.backoff
import redis.retry

from harness import daemon as daemon_module
from harness import wire


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


@pytest.fixture
def workers(make_daemon):
    return make_daemon(targets=daemon_module.LOCAL + daemon_module.target("mail", "worker"),
                       settings="stop_timeout = 200ms").start()


# RESP2 and RESP3; the redis-py of Debian 12 speaks RESP2 only.
PROTOCOLS = [{}] + ([{"protocol": 3}] if int(redis.__version__.split(".")[0]) >= 5 else [])


@pytest.fixture(params=PROTOCOLS, ids=lambda options: f"RESP{options.get('protocol', 2)}")
def options(request):
    return request.param


def field(reply, name):
    return wire.as_map(reply)[name]


def test_the_words_of_a_submitter(workers, options):
    client = workers.redis(decode_responses=True, **options)
    one = client.execute_command("SUBMIT", "local", "SELECT ? AS v", "é")
    two = client.execute_command("SUBMIT", "AFTER", one, "local", "SELECT 2 AS v")
    late = client.execute_command("SUBMIT", "DELAY", 3600000, "local", "SELECT 3 AS v")
    assert client.execute_command("GATHER", two, one) == [[["v"], ["2"]], [["v"], ["é"]]]
    assert client.execute_command("RACE", late, two) == [two, [["v"], ["2"]]]
    with pytest.raises(redis.exceptions.ResponseError, match="^TIMEOUT "):
        client.execute_command("AWAIT", late, "TIMEOUT", 0)
    assert field(client.execute_command("JOB", late), "state") == "scheduled"
    cursor, jobs = client.execute_command("JOBS", "STATE", "scheduled")
    assert (cursor, [field(job, "id") for job in jobs]) == ("0", [late])
    assert client.execute_command("PROMOTE", late) == 1
    assert client.execute_command("AWAIT", late) == [["v"], ["3"]]
    assert client.execute_command("DELETE", one, two, late) == 3
    assert client.execute_command("JOBS") == ["0", []]


def test_the_words_of_a_worker(workers, options):
    client = workers.redis(**options)
    job = client.execute_command("SUBMIT", "RETRY", 1, "BACKOFF", 1, 1, "mail", b"\0\xff")
    [[leased, token, attempt, argument]] = client.execute_command("RESERVE", "mail", "LEASE", 60000)
    assert (leased, attempt, argument) == (job, 1, b"\0\xff")
    assert client.execute_command("PROGRESS", job, token, 40, "page 4") == b"OK"
    assert client.execute_command("EXTEND", job, token, 60000) == b"OK"
    assert client.execute_command("NACK", job, token, "DELAY", 0, "ERROR", "no paper") == b"OK"
    [[_, token, attempt, _]] = client.execute_command("RESERVE", "mail", "TIMEOUT", 60000)
    assert attempt == 2
    assert client.execute_command("ACK", job, token, b"sent\0") == b"OK"
    assert client.execute_command("AWAIT", job) == b"sent\0"
    with pytest.raises(redis.exceptions.ResponseError, match="^BADTOKEN "):
        client.execute_command("ACK", job, token)
    assert client.execute_command("RESERVE", "mail", "TIMEOUT", 0) == []


def test_transaction_and_events(workers, options):
    client = workers.redis(decode_responses=True, **options)
    with client.pubsub() as pubsub:
        pubsub.subscribe("queue:default")
        assert pubsub.get_message(timeout=60)["type"] == "subscribe"
        with client.pipeline(transaction=True) as pipe:
            pipe.execute_command("SUBMIT", "local", "SELECT 20 + 1 AS n")
            pipe.execute_command("SUBMIT", "BIND", 2, "$1", 0, 0, "local", "SELECT 2 * ? AS n", "")
            first, second = pipe.execute()
        assert client.execute_command("AWAIT", second) == [["n"], ["42"]]
        heard = [json.loads(pubsub.get_message(timeout=60)["data"]) for _ in range(6)]
    for job in (first, second):
        assert [one["event"] for one in heard if one["job"] == job] == ["submitted", "started",
                                                                       "done"]


def test_the_pool_outlives_the_daemon(workers, options):
    client = workers.redis(retry_on_error=[redis.exceptions.ConnectionError],
                           retry=redis.retry.Retry(redis.backoff.ConstantBackoff(0.01), 3000),
                           **options)
    job = client.execute_command("SUBMIT", "DELAY", 3600000, "mail", "kept")
    workers.restart()
    assert client.execute_command("PROMOTE", job) == 1
    workers.kill()
    workers.start()
    [[leased, *_]] = client.execute_command("RESERVE", "mail")
    assert leased == job
