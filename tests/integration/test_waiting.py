"""test_waiting.py - AWAIT, GATHER, RACE and CANCEL: who gets what, when, and who gets nothing."""

from harness import process, wire

ENDLESS = "SELECT sleep(3600000)"


def submit(client, *words):
    job = client.call("SUBMIT", *words)
    assert not isinstance(job, wire.Error), job
    return job


def test_await_waits_for_a_job_that_is_not_done(local):
    with local.connect() as client:
        job = submit(client, "local", "SELECT sleep(300)")
        assert isinstance(client.call("AWAIT", job), list)


def test_await_timeout_zero_does_not_wait(local):
    with local.connect() as client:
        job = submit(client, "local", ENDLESS)
        assert client.call("AWAIT", job, "TIMEOUT", "0").word == "TIMEOUT"
        assert client.call("AWAIT", job, "TIMEOUT", "50").word == "TIMEOUT"
        assert client.call("CANCEL", job) == 1
        job = submit(client, "local", "SELECT sleep(100)")
        assert not isinstance(client.call("AWAIT", job, "TIMEOUT", "60000"), wire.Error)


def test_many_clients_await_one_job(local):
    clients = [local.connect() for _ in range(50)]
    job = submit(clients[0], "local", "SELECT sleep(300) AS s")
    for client in clients:
        client.send("AWAIT", job)
    replies = [client.read() for client in clients]
    assert all(reply == replies[0] and not isinstance(reply, wire.Error) for reply in replies)
    for client in clients:
        client.close()


def test_gather_keeps_the_order_asked_and_errors_in_place(local):
    with local.connect() as client:
        slow = submit(client, "local", "SELECT sleep(300)")
        bad = submit(client, "local", "SELEC 1")
        quick = submit(client, "local", "SELECT 'quick' AS q")
        replies = client.call("GATHER", slow, bad, "12345", quick, quick)
        assert not isinstance(replies[0], wire.Error)
        assert replies[1].word == "FAILED"
        assert replies[2].word == "NOJOB"
        assert replies[3] == replies[4] == [[b"q"], [b"quick"]]


def test_gather_timeout_gives_what_is_there(local):
    with local.connect() as client:
        quick = submit(client, "local", "SELECT 'quick' AS q")
        assert client.call("AWAIT", quick) == [[b"q"], [b"quick"]]
        slow = submit(client, "local", ENDLESS)
        replies = client.call("GATHER", quick, slow, "TIMEOUT", "100")
        assert replies[0] == [[b"q"], [b"quick"]]
        assert replies[1].word == "TIMEOUT"
        assert client.call("CANCEL", slow) == 1


def test_gather_of_a_thousand(local):
    with local.connect() as client:
        jobs = client.pipeline(("SUBMIT", "local", "SELECT ? AS n", str(number))
                               for number in range(1000))
        replies = client.call("GATHER", *jobs)
        assert replies == [[[b"n"], [str(number).encode()]] for number in range(1000)]


def test_race_gives_the_first_with_its_id(local):
    with local.connect() as client:
        slow = submit(client, "local", ENDLESS)
        quick = submit(client, "local", "SELECT sleep(100)")
        winner, result = client.call("RACE", slow, quick)
        assert winner == quick
        assert not isinstance(result, wire.Error)
        state = wire.as_map(client.call("JOB", slow))["state"]
        assert wire.text(state) in ("ready", "running"), "the others run on"
        assert client.call("CANCEL", slow) == 1


def test_race_timeout(local):
    with local.connect() as client:
        job = submit(client, "local", ENDLESS)
        reply = client.call("RACE", job, "TIMEOUT", "50")
        assert isinstance(reply, wire.Error) and reply.word == "TIMEOUT"
        assert client.call("CANCEL", job) == 1


def test_race_of_a_failed_job(local):
    with local.connect() as client:
        bad = submit(client, "local", "SELEC 1")
        winner, result = client.call("RACE", bad)
        assert winner == bad
        assert result.word == "FAILED"


def test_cancel_counts_what_it_changed(local):
    with local.connect() as client:
        jobs = [submit(client, "DELAY", "3600000", "local", "SELECT 1") for _ in range(3)]
        done = submit(client, "local", "SELECT 1")
        client.call("AWAIT", done)
        assert client.call("CANCEL", *jobs, done, "12345") == 3
        assert client.call("CANCEL", *jobs) == 0
        for job in jobs:
            assert client.call("AWAIT", job).word == "CANCELLED"
            assert wire.text(wire.as_map(client.call("JOB", job))["state"]) == "cancelled"
        assert not isinstance(client.call("AWAIT", done), wire.Error)


def test_cancel_of_a_running_job_wakes_its_waiters(local):
    with local.connect() as waiter, local.connect() as client:
        job = submit(client, "local", ENDLESS)
        waiter.send("AWAIT", job)
        process.wait_until(lambda: wire.text(wire.as_map(client.call("JOB", job))["state"])
                           == "running", 20, "the job to run")
        assert client.call("CANCEL", job) == 1
        assert waiter.read().word == "CANCELLED"


def test_cancelled_job_never_runs(local):
    with local.connect() as client:
        client.call("RUN", "local", "CREATE TABLE t(v)")
        # its queue holds it also when it is due before it is cancelled
        assert client.call("QUEUE", "PAUSE", "held") == "OK"
        job = submit(client, "QUEUE", "held", "DELAY", "200", "local", "INSERT INTO t VALUES (1)")
        assert client.call("CANCEL", job) == 1
        client.call("AWAIT", submit(client, "DELAY", "300", "local", "SELECT 1"))
        assert client.call("QUEUE", "RESUME", "held") == "OK"
        client.call("AWAIT", submit(client, "QUEUE", "held", "local", "SELECT 1"))
        assert client.call("RUN", "local", "SELECT count(*) FROM t")[1] == [b"0"]


def test_waiting_client_can_be_disconnected(local):
    with local.connect() as client:
        job = submit(client, "DELAY", "3600000", "local", "SELECT 1")
        before = local.descriptors_at_work()
        for _ in range(200):
            waiter = local.connect()
            waiter.send("AWAIT", job)
            waiter.close()
        for _ in range(200):
            waiter = local.connect()
            waiter.send("GATHER", job, job)
            waiter.close()
        process.wait_until(lambda: local.descriptors() <= before + 2, 20,
                           "the connections' descriptors to be closed")
        assert client.call("PROMOTE", job) == 1
        assert not isinstance(client.call("AWAIT", job), wire.Error)
