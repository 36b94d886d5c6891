"""test_queues.py - limits, pausing, purging and measuring of queues and targets."""

import functools
import threading
import time

import pytest

from harness import daemon as daemon_module
from harness import process, wire

WORKER = "[target mail]\ntype = worker\n"


@pytest.fixture
def make_daemon(make_daemon):
    """Jobs stay with their workers here, so a daemon that stops need not wait for them."""
    return functools.partial(make_daemon, settings="stop_timeout = 200ms")


def plain(value):
    """bytes to str, all the way down."""
    if isinstance(value, wire.Error):
        return value
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, list):
        return [plain(one) for one in value]
    return value


def fields(reply):
    return {wire.text(key): plain(value) for key, value in wire.as_map(reply).items()}


def queue_stats(client, name):
    return fields(client.call("QUEUE", "STATS", name))


def target_stats(client, name):
    return fields(client.call("TARGET", "STATS", name))


def queues(client):
    return {one["queue"]: one for one in map(fields, client.call("QUEUES"))}


def submit(client, *words):
    job = client.call("SUBMIT", *words)
    assert not isinstance(job, wire.Error), job
    return job


def reserved(client, target, count=1000):
    """All that a worker gets at once."""
    return [wire.text(job[0]) for job in client.call("RESERVE", target, "COUNT", str(count),
                                                     "TIMEOUT", "0")]


# --- length and bytes -------------------------------------------------------------------------


def test_length_max_at_the_limit(make_daemon):
    daemon = make_daemon(targets=WORKER, extra="[queue mails]\nlength_max = 3\n").start()
    with daemon.connect() as client:
        first = submit(client, "QUEUE", "mails", "mail", "1")
        submit(client, "QUEUE", "mails", "DELAY", "3600000", "mail", "2")
        submit(client, "QUEUE", "mails", "mail", "3")
        refused = client.call("SUBMIT", "QUEUE", "mails", "mail", "4")
        assert refused == "FULL queue mails holds 3 jobs (length_max)"
        submit(client, "mail", "other queues have room")
        # a running job counts, a finished one does not
        [[job, token, *_]] = client.call("RESERVE", "mail", "TIMEOUT", "0")
        assert job == first
        assert client.call("SUBMIT", "QUEUE", "mails", "mail", "4").word == "FULL"
        assert client.call("ACK", job, token) == "OK"
        submit(client, "QUEUE", "mails", "mail", "4")
        assert client.call("SUBMIT", "QUEUE", "mails", "mail", "5").word == "FULL"
    daemon.restart()
    with daemon.connect() as client:
        assert client.call("SUBMIT", "QUEUE", "mails", "mail", "5").word == "FULL"


def test_length_max_counts_what_is_not_committed_yet(make_daemon):
    daemon = make_daemon(targets=WORKER, extra="[queue mails]\nlength_max = 100\n").start()
    with daemon.connect() as one, daemon.connect() as two:
        request = wire.encode("SUBMIT", "QUEUE", "mails", "mail", "x") * 400
        one.send_raw(request)
        two.send_raw(request)
        replies = [client.read() for client in (one, two) for _ in range(400)]
        stored = [reply for reply in replies if not isinstance(reply, wire.Error)]
        assert len(stored) == 100
        assert {reply for reply in replies if isinstance(reply, wire.Error)} == {
            "FULL queue mails holds 100 jobs (length_max)"}
        assert queue_stats(one, "mails")["ready"] == 100


def test_length_max_and_multi(make_daemon):
    daemon = make_daemon(targets=WORKER, extra="[queue mails]\nlength_max = 3\n").start()
    with daemon.connect() as client:
        def transaction(count):
            client.call("MULTI")
            for _ in range(count):
                client.call("SUBMIT", "QUEUE", "mails", "mail", "x")
            return client.call("EXEC")

        for _ in range(3):
            assert isinstance(transaction(4), wire.Error)
        # what was refused leaves nothing behind in the count
        assert len(transaction(3)) == 3
        assert isinstance(transaction(1), wire.Error)
        assert queues(client)["mails"]["ready"] == 3
        assert client.call("QUEUE", "PURGE", "mails") == 3
        assert len(transaction(2)) == 2


def test_a_key_that_is_held_is_answered_by_a_full_queue(make_daemon):
    """The client that repeats its submission learns the id it missed; nothing new gets in."""
    daemon = make_daemon(targets=WORKER, extra="[queue mails]\nlength_max = 2\n").start()
    with daemon.connect() as client:
        ids = [submit(client, "QUEUE", "mails", "KEY", key, "mail", key) for key in "ab"]
        for _ in range(3):
            for key, job in zip("ab", ids):
                assert submit(client, "QUEUE", "mails", "KEY", key, "mail", key) == job
            assert client.call("SUBMIT", "QUEUE", "mails", "KEY", "c", "mail", "c") == (
                "FULL queue mails holds 2 jobs (length_max)")
        client.call("MULTI")
        client.call("SUBMIT", "QUEUE", "mails", "KEY", "a", "mail", "a")
        assert client.call("EXEC") == [ids[0]]
        client.call("MULTI")
        client.call("SUBMIT", "QUEUE", "mails", "KEY", "b", "mail", "b")
        client.call("SUBMIT", "QUEUE", "mails", "KEY", "c", "mail", "c")
        assert client.call("EXEC").word == "FULL"
        assert queue_stats(client, "mails")["ready"] == 2
        # those that were refused took no place
        assert client.call("DELETE", ids[0]) == 1
        submit(client, "QUEUE", "mails", "KEY", "c", "mail", "c")
        assert client.call("SUBMIT", "QUEUE", "mails", "mail", "d").word == "FULL"


def test_bytes_max(make_daemon):
    daemon = make_daemon(targets=WORKER, extra="[queue mails]\nbytes_max = 10K\n").start()
    with daemon.connect() as client:
        replies = client.pipeline([("SUBMIT", "QUEUE", "mails", "mail", "x" * 1000)] * 20)
        stored = [reply for reply in replies if not isinstance(reply, wire.Error)]
        assert len(stored) == 10
        held = queue_stats(client, "mails")["bytes"]
        assert 10000 <= held <= 10240
        refused = next(reply for reply in replies if isinstance(reply, wire.Error))
        assert refused.startswith(f"FULL queue mails holds {held} bytes and has no room for 1")
        assert refused.endswith("(bytes_max)")
        submit(client, "QUEUE", "mails", "mail", "small")
        assert client.call("CANCEL", stored[0]) == 1
        submit(client, "QUEUE", "mails", "mail", "x" * 1000)


@pytest.mark.parametrize("settings, message", [
    ("rate = 10/d", "rate in [queue q] must be a rate such as 100/s, 30/m or 5/h with a number "
                    "from 1 to 1000000, or 0 for no limit, got '10/d'"),
    ("rate_burst = 3", "rate_burst in [queue q] needs a rate"),
    ("weight = 0", "weight in [queue q] must be a number from 1 to 100, got '0'"),
    ("length_max = -1", "length_max in [queue q] must be a number from 0 to 1000000000, got '-1'"),
    ("bytes_max = many", "bytes_max in [queue q] must be a size such as"),
])
def test_wrong_settings(make_daemon, settings, message):
    daemon = make_daemon(extra=f"[queue q]\n{settings}\n")
    _, said = daemon.refuses_to_start()
    assert message in said


# --- rates ------------------------------------------------------------------------------------


def test_a_queues_rate_holds_back_what_is_over_its_burst(make_daemon):
    """By counts: at a job an hour only the burst starts, while another queue goes on."""
    daemon = make_daemon(targets=WORKER,
                         extra="[queue slow]\nrate = 1/h\nrate_burst = 3\n").start()
    with daemon.connect() as client:
        slow = [submit(client, "QUEUE", "slow", "mail", "x") for _ in range(10)]
        free = [submit(client, "QUEUE", "free", "mail", "x") for _ in range(10)]
        assert sorted(reserved(client, "mail")) == sorted(
            wire.text(job) for job in slow[:3] + free)
        assert reserved(client, "mail") == []
        stats = queue_stats(client, "slow")
        assert (stats["ready"], stats["running"]) == (7, 3)
        assert (float(stats["rate_per_s"]), stats["rate_burst"]) == (pytest.approx(1 / 3600), 3)


def test_a_rate_is_never_exceeded_and_all_run_in_the_end(make_daemon):
    daemon = make_daemon(extra="[queue slow]\nrate = 20/s\nrate_burst = 1\n").start()
    with daemon.connect() as client:
        jobs = [submit(client, "QUEUE", "slow", "local", "SELECT 1") for _ in range(11)]
        client.call("GATHER", *jobs)
        started = sorted(fields(client.call("JOB", job))["started"] for job in jobs)
        # ten intervals of 50 ms lie between the first and the last; ms are cut off
        assert started[-1] - started[0] >= 499


def test_a_targets_rate_counts_over_its_queues(make_daemon):
    daemon = make_daemon(targets=WORKER + "rate = 2/h\nrate_burst = 4\n").start()
    with daemon.connect() as client:
        for queue in "abcdef":
            submit(client, "QUEUE", queue, "mail", "x")
        assert len(reserved(client, "mail")) == 4
        assert target_stats(client, "mail")["rate_burst"] == 4
        assert len(reserved(client, "mail")) == 0


def test_a_waiting_reserve_gets_the_job_when_its_token_comes(make_daemon):
    daemon = make_daemon(targets=WORKER + "rate = 2/s\nrate_burst = 1\n").start()
    with daemon.connect() as client:
        first, second = submit(client, "mail", "1"), submit(client, "mail", "2")
        began = time.monotonic()
        assert client.call("RESERVE", "mail")[0][0] == first
        assert client.call("RESERVE", "mail", "TIMEOUT", "60000")[0][0] == second
        assert time.monotonic() - began >= 0.45


# --- weights ----------------------------------------------------------------------------------


def test_weights_share_a_target_and_starve_nobody(make_daemon):
    daemon = make_daemon(targets=WORKER, extra="[queue heavy]\nweight = 3\nconcurrency = 1000\n"
                         "[queue light]\nconcurrency = 1000\n").start()
    with daemon.connect() as client:
        names = {}
        for queue in ("heavy", "light"):
            for reply in client.pipeline([("SUBMIT", "QUEUE", queue, "PRIORITY",
                                           "1" if queue == "heavy" else "9", "mail", "x")] * 200):
                names[wire.text(reply)] = queue
        order = [names[job] for job in reserved(client, "mail", 200)]
        assert order.count("heavy") == 150
        assert order.count("light") == 50
        for start in range(0, 200, 4):
            assert order[start:start + 4].count("light") == 1


# --- pausing ----------------------------------------------------------------------------------


def test_a_paused_queue_starts_nothing_and_resumes(make_daemon):
    daemon = make_daemon(targets=WORKER).start()
    with daemon.connect() as client, daemon.connect() as worker:
        running = submit(client, "QUEUE", "q", "mail", "running")
        [[_, token, *_]] = client.call("RESERVE", "mail")
        assert client.call("QUEUE", "PAUSE", "q") == "OK"
        assert client.call("QUEUE", "PAUSE", "q") == "OK"
        waiting = submit(client, "QUEUE", "q", "mail", "waiting")
        other = submit(client, "mail", "other")
        assert client.call("ACK", running, token) == "OK"
        assert client.call("RESERVE", "mail", "TIMEOUT", "0")[0][0] == other
        assert reserved(client, "mail") == []
        assert queue_stats(client, "q")["paused"] == 1
        assert queue_stats(client, "q")["paused_since"] > 0
        worker.send("RESERVE", "mail")
        time.sleep(0.05)
        assert client.call("QUEUE", "RESUME", "q") == "OK"
        assert worker.read()[0][0] == waiting
        assert queue_stats(client, "q")["paused"] == 0


def test_a_paused_target_starts_nothing(make_daemon):
    daemon = make_daemon(targets=WORKER + daemon_module.LOCAL).start()
    with daemon.connect() as client:
        assert client.call("TARGET", "PAUSE", "mail") == "OK"
        assert client.call("TARGET", "PAUSE", "local") == "OK"
        job = submit(client, "mail", "x")
        stored = submit(client, "local", "SELECT 1")
        assert reserved(client, "mail") == []
        assert client.call("AWAIT", stored, "TIMEOUT", "100").word == "TIMEOUT"
        assert client.call("RUN", "local", "SELECT 1") == "UNAVAILABLE target local is paused"
        targets = {one["target"]: one for one in map(fields, client.call("TARGETS"))}
        assert targets["mail"]["paused"] == 1
        assert (targets["local"]["ready"], targets["local"]["running"]) == (1, 0)
        assert client.call("TARGET", "RESUME", "mail") == "OK"
        assert client.call("TARGET", "RESUME", "local") == "OK"
        assert reserved(client, "mail") == [wire.text(job)]
        assert client.call("AWAIT", stored) == [[b"1"], [b"1"]]


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_pause_outlives_the_daemon(make_daemon, end):
    daemon = make_daemon(targets=WORKER).start()
    with daemon.connect() as client:
        assert client.call("QUEUE", "PAUSE", "q") == "OK"
        assert client.call("QUEUE", "PAUSE", "never-used") == "OK"
        assert client.call("TARGET", "PAUSE", "mail") == "OK"
        since = queue_stats(client, "q")["paused_since"]
        job = submit(client, "QUEUE", "q", "mail", "x")
    getattr(daemon, end)()
    daemon.start()
    with daemon.connect() as client:
        assert queue_stats(client, "q")["paused_since"] == since
        assert client.call("TARGET", "RESUME", "mail") == "OK"
        assert reserved(client, "mail") == []
        assert client.call("QUEUE", "RESUME", "q") == "OK"
        assert reserved(client, "mail") == [wire.text(job)]
        assert queue_stats(client, "never-used")["paused"] == 1
    getattr(daemon, end)()
    daemon.start()
    with daemon.connect() as client:
        assert queue_stats(client, "q")["paused"] == 0
        assert target_stats(client, "mail")["paused"] == 0


def test_a_pause_that_was_answered_holds_after_a_kill_at_any_time(make_daemon):
    daemon = make_daemon(targets=WORKER).start()
    answered = []

    def steer():
        with daemon.connect() as client:
            for number in range(100000):
                try:
                    if client.call("QUEUE", "PAUSE", f"q{number % 50}") == "OK":
                        answered.append(number % 50)
                except (wire.Closed, OSError):
                    return

    thread = threading.Thread(target=steer)
    thread.start()
    process.wait_until(lambda: len(answered) > 20, 60, "some pauses")
    daemon.kill()
    thread.join(60)
    daemon.start()
    with daemon.connect() as client:
        paused = {name for name, one in queues(client).items() if one["paused"]}
        assert {f"q{number}" for number in answered} <= paused


def test_wrong_words(make_daemon):
    daemon = make_daemon(targets=WORKER).start()
    with daemon.connect() as client:
        assert client.call("QUEUE", "STOP", "q") == (
            "ERR QUEUE takes PAUSE, RESUME, PURGE or STATS and a queue, not 'STOP'")
        assert client.call("TARGET", "PURGE", "mail") == (
            "ERR TARGET takes PAUSE, RESUME, STATS or INIT and a target, not 'PURGE'")
        assert client.call("TARGET", "PAUSE", "nosuch") == (
            "NOTARGET no target 'nosuch'; known: mail")
        assert client.call("TARGET", "STATS", "nosuch").word == "NOTARGET"
        assert client.call("QUEUE", "STATS", "nosuch").startswith("ERR no queue 'nosuch'")
        assert client.call("QUEUE", "PAUSE", "9lives").word == "ERR"
        assert client.call("QUEUE", "PURGE", "nosuch") == 0
        assert client.call("QUEUES") == []


# --- purging ----------------------------------------------------------------------------------


def test_purge_of_20000_jobs_while_others_go_on(make_daemon):
    daemon = make_daemon(targets=WORKER + daemon_module.LOCAL).start()
    with daemon.connect() as client, daemon.connect() as waiter, daemon.connect() as other:
        running = submit(client, "QUEUE", "q", "mail", "running")
        [[_, token, *_]] = client.call("RESERVE", "mail")
        first = submit(client, "QUEUE", "q", "mail", "first")
        waiter.send("AWAIT", first)
        for start in range(20):
            replies = client.pipeline(
                [("SUBMIT", "QUEUE", "q", "PRIORITY", str(number % 7), "mail", "x")
                 for number in range(800)]
                + [("SUBMIT", "QUEUE", "q", "DELAY", "3600000", "local", "SELECT 1")] * 200)
            assert not any(isinstance(reply, wire.Error) for reply in replies)
        kept = submit(client, "local", "SELECT 2")
        client.send("QUEUE", "PURGE", "q")
        turns = 0
        finished = threading.Event()
        answer = []

        def read():
            answer.append(client.read())
            finished.set()

        thread = threading.Thread(target=read)
        thread.start()
        while not finished.is_set():
            assert other.call("AWAIT", submit(other, "local", "SELECT 3")) == [[b"3"], [b"3"]]
            turns += 1
        thread.join(60)
        assert answer == [20001]
        assert turns >= 2
        assert waiter.read().word == "CANCELLED"
        assert client.call("JOB", first).word == "NOJOB"
        stats = queue_stats(client, "q")
        assert [stats[state] for state in ("scheduled", "blocked", "ready", "running")] == [
            0, 0, 0, 1]
        assert client.call("ACK", running, token) == "OK"
        assert queue_stats(client, "q")["bytes"] == 0
        assert client.call("AWAIT", kept) == [[b"2"], [b"2"]]
        after = submit(client, "QUEUE", "q", "mail", "after")
        assert reserved(client, "mail") == [wire.text(after)]
        assert client.call("QUEUE", "PURGE", "q") == 0
    daemon.restart()
    with daemon.connect() as client:
        stats = queue_stats(client, "q")
        assert [stats[state] for state in ("scheduled", "blocked", "ready", "cancelled")] == [
            0, 0, 1, 0]


def test_a_purge_that_is_cut_off_leaves_a_whole_queue(make_daemon):
    daemon = make_daemon(targets=WORKER).start()
    with daemon.connect() as client:
        client.pipeline([("SUBMIT", "QUEUE", "q", "mail", "x")] * 5000)
        client.send("QUEUE", "PURGE", "q")
        with daemon.connect() as other:
            process.wait_until(lambda: queue_stats(other, "q")["ready"] < 5000, 60, "the purge")
    daemon.kill()
    daemon.start()
    with daemon.connect() as client:
        left = queue_stats(client, "q")["ready"]
        assert client.call("QUEUE", "PURGE", "q") == left
        assert queue_stats(client, "q")["ready"] == 0


# --- seeing -----------------------------------------------------------------------------------


def test_queues_and_targets(make_daemon):
    daemon = make_daemon(targets=WORKER + daemon_module.LOCAL).start()
    with daemon.connect() as client:
        client.call("AWAIT", submit(client, "QUEUE", "a", "local", "SELECT 1"))
        client.call("AWAIT", submit(client, "QUEUE", "a", "local", "SELEC 1"))
        submit(client, "QUEUE", "b", "mail", "12345")
        submit(client, "QUEUE", "b", "DELAY", "3600000", "mail", "12345")
        seen = queues(client)
        assert set(seen) == {"a", "b"}
        assert (seen["a"]["done"], seen["a"]["dead"], seen["a"]["bytes"]) == (1, 1, 0)
        assert (seen["b"]["ready"], seen["b"]["scheduled"]) == (1, 1)
        assert seen["b"]["bytes"] > 10
        targets = {one["target"]: one for one in map(fields, client.call("TARGETS"))}
        assert set(targets) == {"mail", "local"}
        assert (targets["local"]["type"], targets["local"]["up"]) == ("sqlite", 1)
        assert (targets["mail"]["ready"], targets["mail"]["scheduled"]) == (1, 1)
        assert targets["local"]["capacity"] == 8
        client.call("HELLO", "3")
        reply = client.call("QUEUE", "STATS", "a")
        assert isinstance(reply, dict)


def test_statistics_of_rates_and_latencies(make_daemon):
    daemon = make_daemon(targets=WORKER).start()
    with daemon.connect() as client:
        empty = target_stats(client, "mail")
        assert empty["waiting_p50_ms"] is None
        for _ in range(20):
            submit(client, "mail", "x")
        oldest = queue_stats(client, "default")
        assert oldest["oldest_job"] is not None
        time.sleep(1.1)
        assert queue_stats(client, "default")["oldest_age_ms"] >= 1000
        for job, token, *_ in client.call("RESERVE", "mail", "COUNT", "10"):
            time.sleep(0.02)
            client.call("ACK", job, token)
        for job, token, *_ in client.call("RESERVE", "mail", "COUNT", "5"):
            client.call("NACK", job, token, "DELAY", "3600000")
        time.sleep(1.1)
        for stats in (queue_stats(client, "default"), target_stats(client, "mail")):
            rates = {name: float(stats[f"{name}_per_s_1m"])
                     for name in ("submitted", "started", "done", "failed")}
            assert rates["submitted"] > rates["started"] > rates["done"] > rates["failed"] > 0
            waited = [float(stats[f"waiting_p{percent}_ms"]) for percent in (50, 90, 99)]
            assert 1000 <= waited[0] <= waited[1] <= waited[2]
            ran = [float(stats[f"running_p{percent}_ms"]) for percent in (50, 90, 99)]
            assert 0 <= ran[0] <= ran[1] <= ran[2]
            assert ran[2] >= 150
        assert queue_stats(client, "default")["ready"] == 5


def test_the_oldest_of_a_backlog_on_disk(make_daemon):
    """The oldest job has the least urgent priority, far behind the window."""
    daemon = make_daemon(targets=WORKER).start()
    with daemon.connect() as client:
        oldest = submit(client, "PRIORITY", "900", "mail", "oldest")
        client.pipeline([("SUBMIT", "PRIORITY", str(1 + number % 100), "mail", "x")
                         for number in range(3000)])
        assert queue_stats(client, "default")["oldest_job"] == wire.text(oldest)
        [[job, *_]] = client.call("RESERVE", "mail")
        assert job != oldest
        assert queue_stats(client, "default")["oldest_job"] == wire.text(oldest)


def test_a_target_that_is_down_says_why_and_since_when(make_daemon):
    port = process.free_port()
    daemon = make_daemon(targets=daemon_module.target(
        "cache", "redis", uri=f"redis://127.0.0.1:{port}/0", connect_timeout="500ms")).start()
    with daemon.connect() as client:
        submit(client, "cache", "PING")
        process.wait_until(lambda: target_stats(client, "cache")["up"] == 0, 60, "it to be down")
        stats = target_stats(client, "cache")
        assert stats["reason"]
        assert stats["since"] > 0
        assert stats["ready"] == 1
