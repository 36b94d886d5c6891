"""test_events.py - SUBSCRIBE and its kin: any Redis client's pub/sub hears what happens."""

import json
import socket
import time

import pytest
import redis

from harness import daemon as daemon_module
from harness import process, wire

WAIT_S = 60


@pytest.fixture
def workers(make_daemon):
    return make_daemon(targets="[target mail]\ntype = worker\n" + daemon_module.LOCAL,
                       settings="stop_timeout = 200ms").start()


def message(pubsub):
    """The next message of a redis-py PubSub that is no confirmation."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        found = pubsub.get_message(ignore_subscribe_messages=True, timeout=WAIT_S)
        if found is not None:
            return found
    raise AssertionError("no message")


def event(pubsub):
    return json.loads(message(pubsub)["data"])


def subscribed(client, *words):
    """Subscribes on a raw connection and reads the confirmations."""
    client.send(*words)
    return [client.read() for _ in words[1:]]


def test_the_life_of_a_job_through_redis_py(workers):
    client = workers.redis()
    with client.pubsub() as pubsub:
        pubsub.subscribe("queue:letters", "target:mail")
        assert pubsub.get_message(timeout=WAIT_S)["type"] == "subscribe"
        assert pubsub.get_message(timeout=WAIT_S)["data"] == 2
        job = client.execute_command("SUBMIT", "QUEUE", "letters", "mail", "x").decode()
        [[_, token, *_]] = client.execute_command("RESERVE", "mail")
        client.execute_command("PROGRESS", job, token, "40", "half \"way\"")
        client.execute_command("ACK", job, token)
        seen = [message(pubsub) for _ in range(8)]
    by_queue = [json.loads(one["data"]) for one in seen if one["channel"] == b"queue:letters"]
    by_target = [json.loads(one["data"]) for one in seen if one["channel"] == b"target:mail"]
    assert by_queue == by_target
    assert [one["event"] for one in by_queue] == ["submitted", "started", "progress", "done"]
    assert {one["job"] for one in by_queue} == {job}
    assert {one["queue"] for one in by_queue} == {"letters"}
    assert by_queue[1]["attempt"] == 1
    assert (by_queue[2]["percent"], by_queue[2]["text"]) == (40, "half \"way\"")
    assert all(one["time"] >= by_queue[0]["time"] for one in by_queue)


def test_retry_dead_and_the_error(workers):
    with workers.connect() as client, workers.redis().pubsub() as pubsub:
        pubsub.psubscribe("target:*")
        assert pubsub.get_message(timeout=WAIT_S)["type"] == "psubscribe"
        client.call("SUBMIT", "RETRY", "1", "BACKOFF", "1", "1", "mail", "x")
        for _ in range(2):
            [[job, token, *_]] = client.call("RESERVE", "mail")
            client.call("NACK", job, token, "ERROR", "no paper\n")
        events = [event(pubsub) for _ in range(5)]
        assert [one["event"] for one in events] == ["submitted", "started", "retry", "started",
                                                    "dead"]
        assert [one.get("attempt") for one in events] == [None, 1, 1, 2, 2]
        assert events[2]["error"].startswith("NACK no paper")


def test_events_are_told_when_they_are_durable(make_daemon):
    """What was heard of is there after a kill."""
    daemon = make_daemon().start()
    with daemon.connect() as listener, daemon.connect() as client:
        subscribed(listener, "PSUBSCRIBE", "queue:*")
        client.send("SUBMIT", "DELAY", "3600000", "local", "SELECT 1")
        heard = json.loads(listener.read()[3])
        daemon.kill()
    daemon.start()
    with daemon.connect() as client:
        assert wire.text(wire.as_map(client.call("JOB", heard["job"]))["state"]) == "scheduled"


def test_job_channel_cancel_and_uncommitted(workers):
    with workers.connect() as client, workers.connect() as listener:
        job = client.call("SUBMIT", "DELAY", "3600000", "mail", "x")
        running = client.call("SUBMIT", "mail", "y")
        [[_, token, *_]] = client.call("RESERVE", "mail")
        subscribed(listener, "SUBSCRIBE", b"job:" + job, b"job:" + running)
        assert client.call("CANCEL", job, running) == 2
        heard = [listener.read() for _ in range(2)]
        assert {(one[0], one[1]) for one in heard} == {(b"message", b"job:" + job),
                                                       (b"message", b"job:" + running)}
        assert {json.loads(one[2])["event"] for one in heard} == {"cancelled"}
        assert {json.loads(one[2])["target"] for one in heard} == {"mail"}
        assert client.call("ACK", running, token).word == "CANCELLED"


def test_resp3_pushes_beside_replies(workers):
    with workers.connect() as client:
        client.call("HELLO", "3")
        confirmations = subscribed(client, "SUBSCRIBE", "queue:default", "other")
        assert all(isinstance(one, wire.Push) for one in confirmations)
        assert confirmations == [[b"subscribe", b"queue:default", 1], [b"subscribe", b"other", 2]]
        client.send("SUBMIT", "mail", "x")
        got = [client.read(), client.read()]
        pushes = [one for one in got if isinstance(one, wire.Push)]
        replies = [one for one in got if not isinstance(one, wire.Push)]
        assert [one[:2] for one in pushes] == [[b"message", b"queue:default"]]
        assert len(replies) == 1
        # a waiting command and messages while it waits
        client.send("AWAIT", replies[0])
        with workers.connect() as worker:
            [[job, token, *_]] = worker.call("RESERVE", "mail")
            assert json.loads(client.read()[2])["event"] == "started"
            worker.call("ACK", job, token, "fine")
        got = [client.read(), client.read()]
        assert [json.loads(one[2])["event"] for one in got if isinstance(one, wire.Push)] == [
            "done"]
        assert [one for one in got if not isinstance(one, wire.Push)] == [b"fine"]
        assert client.call("PING") == "PONG"


def test_resp2_allows_only_listening(workers):
    with workers.connect() as client:
        assert subscribed(client, "SUBSCRIBE", "a") == [[b"subscribe", b"a", 1]]
        refused = client.call("QUEUES")
        assert refused.startswith("ERR Can't execute 'QUEUES': only (P)SUBSCRIBE")
        assert client.call("PING") == [b"pong", b""]
        assert client.call("PING", "hello") == [b"pong", b"hello"]
        assert client.call("PSUBSCRIBE", "x*") == [b"psubscribe", b"x*", 2]
        assert client.call("UNSUBSCRIBE") == [b"unsubscribe", b"a", 1]
        assert client.call("UNSUBSCRIBE") == [b"unsubscribe", None, 1]
        assert client.call("PUNSUBSCRIBE", "nosuch") == [b"punsubscribe", b"nosuch", 1]
        assert client.call("PUNSUBSCRIBE", "x*") == [b"punsubscribe", b"x*", 0]
        assert client.call("PING") == "PONG"
        subscribed(client, "SUBSCRIBE", "a", "b")
        assert client.call("RESET") == "RESET"
        assert isinstance(client.call("QUEUES"), list)


def test_a_message_comes_for_each_subscription_that_it_meets(workers):
    with workers.connect() as client, workers.connect() as listener:
        subscribed(listener, "PSUBSCRIBE", "queue:[m-p]?st", "queue:mo\\st", "target:*")
        subscribed(listener, "SUBSCRIBE", "queue:most")
        subscribed(listener, "SUBSCRIBE", "queue:most")
        client.call("SUBMIT", "QUEUE", "most", "mail", "x")
        kinds = sorted(tuple(listener.read()[:2]) for _ in range(4))
        assert kinds == [(b"message", b"queue:most"), (b"pmessage", b"queue:[m-p]?st"),
                         (b"pmessage", b"queue:mo\\st"), (b"pmessage", b"target:*")]
        assert listener.call("UNSUBSCRIBE") == [b"unsubscribe", b"queue:most", 3]
        listener.send("PUNSUBSCRIBE")
        assert [listener.read()[2] for _ in range(3)] == [2, 1, 0]
        client.call("SUBMIT", "QUEUE", "most", "mail", "x")
        assert listener.call("PING") == "PONG"


def test_cron_and_expiry(workers):
    with workers.connect() as client, workers.connect() as listener:
        subscribed(listener, "SUBSCRIBE", "cron:tick")
        assert client.call("CRON", "SET", "tick", "@every 1s", "SUBMIT", "mail", "x") == "OK"
        fired = json.loads(listener.read()[2])
        assert (fired["event"], fired["cron"]) == ("fired", "tick")
        assert wire.as_map(client.call("JOB", fired["job"]))
        assert client.call("CRON", "DEL", "tick") == 1
        listener.send("UNSUBSCRIBE")
        heard = listener.read()
        while heard[0] == b"message":  # it was due again before it was deleted
            heard = listener.read()
        assert heard == [b"unsubscribe", b"cron:tick", 0]
        subscribed(listener, "SUBSCRIBE", "queue:short")
        job = client.call("SUBMIT", "QUEUE", "short", "EXPIRE", "300", "mail", "x")
        submitted, expired = (json.loads(listener.read()[2]) for _ in range(2))
        assert submitted["event"] == "submitted"
        assert (expired["event"], expired["queue"]) == ("expired", "short")
        assert expired["job"] == job.decode()
        assert expired["error"].startswith("EXPIRED ")


def test_deleted_and_dependent_jobs_are_told(workers):
    with workers.connect() as client, workers.connect() as listener:
        subscribed(listener, "SUBSCRIBE", "queue:q", "queue:later")
        parent = client.call("SUBMIT", "QUEUE", "q", "mail", "x").decode()
        child = client.call("SUBMIT", "QUEUE", "later", "AFTER", parent, "mail", "y").decode()
        other = client.call("SUBMIT", "QUEUE", "q", "DELAY", "3600000", "mail", "z").decode()
        assert client.call("QUEUE", "PURGE", "q") == 2
        assert client.call("AWAIT", child).word in ("CANCELLED", "FAILED")
        heard = [json.loads(listener.read()[2]) for _ in range(6)]
        ends = {one["job"]: one["event"] for one in heard if one["event"] != "submitted"}
        assert set(ends) == {parent, child, other}
        assert (ends[parent], ends[other]) == ("cancelled", "cancelled")
        assert ends[child] in ("cancelled", "dead")
        job = client.call("SUBMIT", "QUEUE", "q", "mail", "x").decode()
        assert client.call("DELETE", job) == 1
        assert [json.loads(listener.read()[2])["event"] for _ in range(2)] == ["submitted",
                                                                               "cancelled"]


def test_paused_resumed_up_and_down(make_daemon):
    port = process.free_port()
    daemon = make_daemon(targets=daemon_module.LOCAL + daemon_module.target(
        "cache", "redis", uri=f"redis://127.0.0.1:{port}/0", connect_timeout="500ms")).start()
    with daemon.connect() as client, daemon.connect() as listener:
        subscribed(listener, "SUBSCRIBE", "queue:q", "target:local")
        client.call("QUEUE", "PAUSE", "q")
        client.call("QUEUE", "RESUME", "q")
        client.call("TARGET", "PAUSE", "local")
        heard = [json.loads(listener.read()[2]) for _ in range(3)]
        assert [one["event"] for one in heard] == ["paused", "resumed", "paused"]
        assert [one.get("queue") for one in heard] == ["q", "q", None]
        assert heard[2]["target"] == "local"
        process.wait_until(lambda: "state=down" in wire.text(client.call("INFO", "targets")), 60,
                           "cache to be down")
        subscribed(listener, "SUBSCRIBE", "target:cache")
        server = process.Process([process.need("redis-server"), "--port", port, "--save", "",
                                  "--dir", daemon.folder], daemon.folder / "redis.log")
        try:
            up = json.loads(listener.read()[2])
            assert (up["event"], up["target"], up.get("error")) == ("up", "cache", None)
        finally:
            server.end()
        down = json.loads(listener.read()[2])
        assert (down["event"], down["target"]) == ("down", "cache")
        assert down["error"]


def test_rights(make_daemon):
    daemon = make_daemon()
    daemon.configure(daemon.configuration.read_text().replace("allow = all", "allow = submit"))
    daemon.start()
    with daemon.connect() as client:
        assert subscribed(client, "SUBSCRIBE", "job:17") == [[b"subscribe", b"job:17", 1]]
        client.call("UNSUBSCRIBE")
        for name in ("queue:q", "job:", "job:*", "cron:x"):
            assert client.call("SUBSCRIBE", name).word == "NOPERM"
        assert client.call("PSUBSCRIBE", "job:*").word == "NOPERM"
        assert client.call("QUEUE", "PAUSE", "q").word == "NOPERM"


def test_limits_of_subscriptions(workers):
    with workers.connect() as client:
        client.call("HELLO", "3")
        assert client.call("SUBSCRIBE", "x" * 257).word == "ERR"
        replies = client.pipeline([("PSUBSCRIBE", f"p{i}*") for i in range(101)])
        assert replies[99] == [b"psubscribe", b"p99*", 100]
        assert replies[100].word == "FULL"
        assert client.call("PSUBSCRIBE", "p5*") == [b"psubscribe", b"p5*", 100]


def test_a_slow_subscriber_is_disconnected_and_others_are_not(make_daemon):
    daemon = make_daemon(targets="[target mail]\ntype = worker\n",
                         settings="subscriber_output_max = 64K").start()
    slow = daemon.connect(receive_buffer=4096)
    subscribed(slow, "PSUBSCRIBE", "*")
    with daemon.connect() as client, daemon.connect() as listener:
        subscribed(listener, "SUBSCRIBE", "queue:default")
        count = 6000
        for start in range(0, count, 100):
            replies = client.pipeline([("SUBMIT", "mail", "x")] * 100)
            assert not any(isinstance(one, wire.Error) for one in replies)
            for _ in range(100):
                assert listener.read()[1] == b"queue:default"
        process.wait_until(lambda: "events unread (subscriber_output_max)" in daemon.output(), 30,
                           "the log to tell of the slow client")
        assert int(daemon.info()["connected_clients"]) <= 3
    with pytest.raises((wire.Closed, ConnectionError, socket.timeout)):
        while True:
            slow.read()
    slow.close()


def test_nobody_is_left_listening(workers):
    """A connection that ends takes its subscriptions along."""
    for _ in range(3):
        with workers.connect() as listener:
            subscribed(listener, "SUBSCRIBE", "queue:default", "a", "b")
    with workers.connect() as client:
        for _ in range(10):
            assert isinstance(client.call("SUBMIT", "mail", "x"), bytes)
        assert client.call("PING") == "PONG"


def test_redis_py_thread_and_pattern_handlers(workers):
    seen = []
    client = workers.redis()
    with client.pubsub() as pubsub:
        pubsub.psubscribe(**{"job:*": lambda one: seen.append(json.loads(one["data"])["event"])})
        thread = pubsub.run_in_thread(sleep_time=0.01)
        process.wait_until(lambda: pubsub.subscribed, 30, "the subscription")
        client.execute_command("RUN", "local", "SELECT 1")
        job = None
        deadline = time.monotonic() + WAIT_S
        while "done" not in seen and time.monotonic() < deadline:
            job = client.execute_command("SUBMIT", "local", "SELECT 1")
            client.execute_command("AWAIT", job)
        thread.stop()
        thread.join(30)
    assert "done" in seen
