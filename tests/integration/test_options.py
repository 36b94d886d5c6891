"""test_options.py - DELAY, AT, PRIORITY, TIMEOUT, RETRY, BACKOFF, KEEP and QUEUE of SUBMIT."""

import json
import threading
import time

from harness import process, wire


def state_of(client, job):
    reply = client.call("JOB", job)
    return None if isinstance(reply, wire.Error) else wire.text(wire.as_map(reply)["state"])


def test_delay(local):
    with local.connect() as client:
        late = client.call("SUBMIT", "DELAY", "3600000", "local", "SELECT 1 AS one")
        begin = time.monotonic()
        job = client.call("SUBMIT", "DELAY", "400", "local", "SELECT 1 AS one")
        assert client.call("AWAIT", job) == [[b"one"], [b"1"]]
        assert state_of(client, late) == "scheduled"
        assert time.monotonic() - begin >= 0.39


def test_at(local):
    with local.connect() as client:
        due_ms = int(time.time() * 1000) + 400
        job = client.call("SUBMIT", "AT", str(due_ms), "local", "SELECT 1 AS one")
        assert client.call("AWAIT", job) == [[b"one"], [b"1"]]
        assert time.time() * 1000 >= due_ms
        late_ms = due_ms + 3600000
        late = client.call("SUBMIT", "AT", str(late_ms), "local", "SELECT 1 AS one")
        assert state_of(client, late) == "scheduled"
        assert int(wire.as_map(client.call("JOB", late))["due"]) == late_ms


def test_at_in_the_past_runs_now(local):
    with local.connect() as client:
        job = client.call("SUBMIT", "AT", "1000", "local", "SELECT 1 AS one")
        assert client.call("AWAIT", job) == [[b"one"], [b"1"]]


def test_earlier_delay_overtakes_a_later_one(local):
    with local.connect() as client:
        late = client.call("SUBMIT", "DELAY", "3600000", "local", "SELECT 'late'")
        soon = client.call("SUBMIT", "DELAY", "200", "local", "SELECT 'soon' AS s")
        assert client.call("RACE", late, soon)[0] == soon


def test_priority_decides_who_starts_first(make_daemon):
    """The order in which a pile of jobs wrote their numbers that had waited behind one."""
    local = make_daemon(extra="[queue default]\nconcurrency = 1\n").start()
    with local.connect() as client:
        client.call("RUN", "local", "CREATE TABLE o(n INTEGER PRIMARY KEY, p)")
        first = client.call("SUBMIT", "local", "SELECT sleep(3600000)")
        process.wait_until(lambda: state_of(client, first) == "running", 60, "the first to run")
        jobs = client.pipeline(
            ("SUBMIT", "PRIORITY", str(priority), "local", "INSERT INTO o(p) VALUES (?)",
             str(priority))
            for number in range(100) for priority in (2000, 10))
        assert client.call("CANCEL", first) == 1
        assert client.call("GATHER", *jobs) == ["INSERT 0 1"] * 200
        rows = client.call("RUN", "local", "SELECT p FROM o ORDER BY n")[1:]
        order = [int(row[0]) for row in rows]
        assert order == [10] * 100 + [2000] * 100


def test_timeout_of_a_job(local):
    with local.connect() as client:
        job = client.call("SUBMIT", "TIMEOUT", "100", "RETRY", "0", "local",
                          "SELECT sleep(3600000)")
        reply = client.call("AWAIT", job)
        assert isinstance(reply, wire.Error) and "TIMEOUT" in reply, reply
        assert state_of(client, job) == "dead"


def test_timeout_is_retried(local):
    with local.connect() as client:
        job = client.call("SUBMIT", "TIMEOUT", "50", "RETRY", "2", "BACKOFF", "10", "20", "local",
                          "SELECT sleep(3600000)")
        assert isinstance(client.call("AWAIT", job), wire.Error)
        assert int(wire.as_map(client.call("JOB", job))["attempts"]) == 3


def test_run_timeout(local):
    with local.connect() as client:
        reply = client.call("RUN", "TIMEOUT", "100", "local", "SELECT sleep(3600000)")
        assert reply.word == "TIMEOUT"
        assert client.call("RUN", "local", "SELECT 1 AS one") == [[b"one"], [b"1"]]


def test_keep_zero_drops_the_result(local):
    with local.connect() as client:
        job = client.call("SUBMIT", "KEEP", "0", "local", "SELECT sleep(50)")
        process.wait_until(lambda: is_nojob(client.call("AWAIT", job)), 10, "the result to be gone")


def test_keep_is_a_time(local):
    with local.connect() as client:
        short = client.call("SUBMIT", "KEEP", "500", "local", "SELECT 1 AS one")
        long = client.call("SUBMIT", "KEEP", "3600000", "local", "SELECT 1 AS one")
        assert client.call("AWAIT", long) == [[b"one"], [b"1"]]
        process.wait_until(lambda: is_nojob(client.call("AWAIT", short)), 20,
                           "the short result to be gone")
        assert client.call("AWAIT", long) == [[b"one"], [b"1"]]


def is_nojob(reply):
    return isinstance(reply, wire.Error) and reply.word == "NOJOB"


def test_queue_is_made_on_first_use(local):
    with local.connect() as client:
        job = client.call("SUBMIT", "QUEUE", "mine", "local", "SELECT 1 AS one")
        assert client.call("AWAIT", job) == [[b"one"], [b"1"]]
        fields = wire.as_map(client.call("JOB", job))
        assert wire.text(fields["queue"]) == "mine"


def test_options_in_any_order_and_case(local):
    with local.connect() as client:
        job = client.call("SUBMIT", "retry", "3", "QUEUE", "q", "Delay", "0", "keep", "60000",
                          "priority", "5", "timeout", "60000", "BACKOFF", "1", "2", "local",
                          "SELECT 1 AS one")
        fields = wire.as_map(client.call("JOB", job))
        assert int(fields["priority"]) == 5
        assert int(fields["retry"]) == 3
        assert client.call("AWAIT", job) == [[b"one"], [b"1"]]


def test_format_json(local):
    with local.connect() as client:
        reply = client.call("RUN", "FORMAT", "json", "local",
                            "SELECT 1 AS one, 'x' AS t, NULL AS n")
        assert json.loads(reply) == [{"one": 1, "t": "x", "n": None}]


def test_ten_thousand_pipelined_submissions_are_few_commits(make_daemon):
    """Four on a quiet machine; a slow sender makes more of them."""
    daemon = make_daemon("[target mail]\ntype = worker\n").start()
    before = int(daemon.info()["store_commits"])
    with daemon.connect() as client:
        data = b"".join(wire.encode("SUBMIT", "mail", str(number)) for number in range(10000))
        sender = threading.Thread(target=client.send_raw, args=(data,), daemon=True)
        sender.start()
        ids = [int(client.read()) for _ in range(10000)]
        sender.join(60)
    assert ids == sorted(set(ids))
    assert int(daemon.info()["store_commits"]) - before <= 100
