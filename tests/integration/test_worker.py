"""test_worker.py - RESERVE, ACK, NACK, EXTEND and PROGRESS: leases, tokens, fairness."""

import time

import pytest

from harness import daemon as daemon_module
from harness import process, wire


@pytest.fixture
def workers(make_daemon):
    return make_daemon(targets="[target mail]\ntype = worker\n[target post]\ntype = worker\n"
                       + daemon_module.LOCAL, settings="stop_timeout = 200ms").start()


def submit(client, *words):
    job = client.call("SUBMIT", *words)
    assert not isinstance(job, wire.Error), job
    return job


def reserve_one(client, *words):
    jobs = client.call("RESERVE", *words)
    assert len(jobs) == 1, jobs
    return jobs[0]


def wait_for_waiting(workers, count):
    """Until the daemon says that so many clients wait; the one that asks counts itself."""
    process.wait_until(lambda: int(workers.info()["blocked_clients"]) == count + 1, 60,
                       f"{count} to wait")


def state_of(client, job):
    return wire.text(wire.as_map(client.call("JOB", job))["state"])


def test_reserve_acknowledge_await(workers):
    with workers.connect() as client:
        job = submit(client, "mail", "to", b"\0binary\r\n", "text")
        leased, token, attempt, *arguments = reserve_one(client, "mail")
        assert (leased, attempt, arguments) == (job, 1, [b"to", b"\0binary\r\n", b"text"])
        assert state_of(client, job) == "running"
        assert client.call("ACK", job, token, "sent") == "OK"
        assert client.call("AWAIT", job) == b"sent"
        assert client.call("ACK", job, token).word == "BADTOKEN"


def test_ack_without_a_result_gives_ok(workers):
    with workers.connect() as client:
        job = submit(client, "mail", "x")
        _, token, *_ = reserve_one(client, "mail")
        assert client.call("ACK", job, token) == "OK"
        assert client.call("AWAIT", job) == "OK"


def test_acknowledgement_is_durable_when_answered(workers):
    with workers.connect() as client:
        job = submit(client, "mail", "x")
        _, token, *_ = reserve_one(client, "mail")
        assert client.call("ACK", job, token, "kept") == "OK"
    workers.kill()
    workers.start()
    with workers.connect() as client:
        assert client.call("AWAIT", job, "TIMEOUT", "0") == b"kept"


def test_unacknowledged_job_is_there_again_after_a_kill(workers):
    with workers.connect() as client:
        job = submit(client, "mail", "x")
        _, token, *_ = reserve_one(client, "mail")
    workers.kill()
    workers.start()
    with workers.connect() as client:
        assert client.call("ACK", job, token).word == "BADTOKEN"
        leased, new_token, attempt, *_ = reserve_one(client, "mail")
        assert (leased, attempt) == (job, 1)
        assert new_token != token
        assert client.call("ACK", job, new_token) == "OK"


def test_count_takes_what_is_there_in_order(workers):
    with workers.connect() as client:
        late = submit(client, "mail", "late")
        soon = submit(client, "PRIORITY", "1", "mail", "soon")
        jobs = client.call("RESERVE", "mail", "COUNT", "10", "TIMEOUT", "60000")
        assert [job[0] for job in jobs] == [soon, late]


def test_timeout_gives_an_empty_array(workers):
    with workers.connect() as client:
        assert client.call("RESERVE", "mail", "TIMEOUT", "0") == []
        began = time.monotonic()
        assert client.call("RESERVE", "mail", "post", "TIMEOUT", "200") == []
        assert time.monotonic() - began > 0.15


def test_a_submission_wakes_exactly_one_and_in_turn(workers):
    waiting = [workers.connect() for _ in range(3)]
    for number, client in enumerate(waiting, 1):
        client.send("RESERVE", "mail", "TIMEOUT", "60000")
        wait_for_waiting(workers, number)
    with workers.connect() as producer:
        jobs = [submit(producer, "mail", str(number)) for number in range(3)]
    assert [client.read()[0][0] for client in waiting] == jobs
    for client in waiting:
        client.close()


def test_reserve_from_several_targets(workers):
    with workers.connect() as client, workers.connect() as producer:
        client.send("RESERVE", "mail", "post", "TIMEOUT", "60000")
        wait_for_waiting(workers, 1)
        job = submit(producer, "post", "x")
        assert client.read()[0][0] == job


def test_a_worker_that_hung_up_while_waiting_gets_nothing(workers):
    gone = workers.connect()
    gone.send("RESERVE", "mail", "TIMEOUT", "60000")
    wait_for_waiting(workers, 1)
    gone.close()
    wait_for_waiting(workers, 0)
    with workers.connect() as client:
        job = submit(client, "mail", "x")
        assert reserve_one(client, "mail", "TIMEOUT", "60000")[0] == job


def test_expired_lease_returns_the_job_and_fences_the_late_worker(workers):
    with workers.connect() as client:
        job = submit(client, "mail", "x")
        _, late_token, *_ = reserve_one(client, "mail", "LEASE", "100")
        leased, token, attempt, *_ = reserve_one(client, "mail", "TIMEOUT", "60000")
        assert (leased, attempt) == (job, 1)
        assert client.call("ACK", job, late_token, "late").word == "BADTOKEN"
        assert client.call("ACK", job, token, "right") == "OK"
        assert client.call("AWAIT", job) == b"right"


def test_extend_keeps_the_lease(workers):
    with workers.connect() as client:
        job = submit(client, "mail", "x")
        for lease in ("500", "5000", "50000"):  # a slow machine extends a short one too late
            leased, token, *_ = reserve_one(client, "mail", "LEASE", lease, "TIMEOUT", "60000")
            assert leased == job
            if client.call("EXTEND", job, token, "3600000") == "OK":
                break
        # one that was not extended, and began later, comes back: the time is over
        other = submit(client, "mail", "y")
        assert reserve_one(client, "mail", "LEASE", lease)[0] == other
        assert reserve_one(client, "mail", "COUNT", "10", "TIMEOUT", "60000")[0] == other
        assert client.call("RESERVE", "mail", "TIMEOUT", "0") == []
        assert client.call("ACK", job, token) == "OK"


def test_nack_retries_after_its_delay_and_ends_dead(workers):
    with workers.connect() as client:
        job = submit(client, "RETRY", "1", "mail", "x")
        _, token, *_ = reserve_one(client, "mail")
        assert client.call("NACK", job, token, "DELAY", "100", "ERROR", "no route") == "OK"
        fields = wire.as_map(client.call("JOB", job))
        assert wire.text(fields["state"]) in ("scheduled", "ready"), "ready once it is due"
        assert wire.text(fields["error"]) == "NACK no route"
        _, token, attempt, *_ = reserve_one(client, "mail", "TIMEOUT", "60000")
        assert attempt == 2
        assert client.call("NACK", job, token) == "OK"
        assert client.call("AWAIT", job, "TIMEOUT", "60000").word == "FAILED"
        assert state_of(client, job) == "dead"


def test_progress_is_seen(workers):
    with workers.connect() as client:
        job = submit(client, "mail", "x")
        _, token, *_ = reserve_one(client, "mail")
        assert client.call("PROGRESS", job, token, "40", "half way") == "OK"
        fields = wire.as_map(client.call("JOB", job))
        assert fields["progress"] == 40
        assert wire.text(fields["progress_text"]) == "half way"
        assert client.call("PROGRESS", job, token, "101").word == "ERR"
        client.call("ACK", job, token)


def test_worker_of_a_cancelled_job_learns_it(workers):
    with workers.connect() as client:
        job = submit(client, "mail", "x")
        _, token, *_ = reserve_one(client, "mail")
        assert client.call("CANCEL", job) == 1
        assert client.call("EXTEND", job, token, "1000").word == "CANCELLED"
        assert client.call("PROGRESS", job, token, "1").word == "CANCELLED"
        assert client.call("ACK", job, token).word == "CANCELLED"


def test_timeout_of_the_job_outranks_its_lease(workers):
    with workers.connect() as client:
        job = submit(client, "TIMEOUT", "100", "RETRY", "0", "mail", "x")
        reserve_one(client, "mail", "LEASE", "60000")
        failed = client.call("AWAIT", job, "TIMEOUT", "60000")
        assert failed.word == "FAILED" and "TIMEOUT" in str(failed)


def test_drain_returns_leased_jobs(workers):
    with workers.connect() as client:
        job = submit(client, "mail", "x")
        reserve_one(client, "mail")
    workers.kill()
    workers.start()
    with workers.connect() as client:
        assert state_of(client, job) == "ready"


@pytest.mark.parametrize("words, word", [
    (["RESERVE"], "ERR"),
    (["RESERVE", "nosuch"], "NOTARGET"),
    (["RESERVE", "local"], "ERR"),
    (["RESERVE", "mail", "mail"], "ERR"),
    (["RESERVE", "mail", "COUNT", "0"], "ERR"),
    (["RESERVE", "mail", "COUNT", "1001"], "ERR"),
    (["RESERVE", "mail", "COUNT"], "ERR"),
    (["RESERVE", "mail", "LEASE", "0"], "ERR"),
    (["RESERVE", "mail", "TIMEOUT", "-1"], "ERR"),
    (["RESERVE", "mail", "TIMEOUT", "1", "mail"], "ERR"),
    (["RESERVE", "COUNT", "1"], "ERR"),
    (["ACK", "1"], "ERR"),
    (["ACK", "x", "1"], "ERR"),
    (["ACK", "1", "x"], "BADTOKEN"),
    (["ACK", "1", "1"], "NOJOB"),
    (["NACK", "1", "1", "DELAY"], "ERR"),
    (["NACK", "1", "1", "WHY"], "ERR"),
    (["EXTEND", "1", "1", "0"], "ERR"),
    (["PROGRESS", "1", "1", "x"], "ERR"),
])
def test_wrong_use_is_a_clear_error(workers, words, word):
    with workers.connect() as client:
        assert client.call(*words).word == word
        assert client.call("PING") == "PONG"


def test_a_reply_takes_no_further_job_once_it_is_large(workers):
    with workers.connect(timeout_s=60) as client:
        for _ in range(4):
            submit(client, "mail", b"x" * (9 << 20))
        assert len(client.call("RESERVE", "mail", "COUNT", "10", "TIMEOUT", "60000")) == 2
        assert len(client.call("RESERVE", "mail", "COUNT", "10", "TIMEOUT", "60000")) == 2


def test_result_over_the_limit_is_refused_and_the_lease_goes_on(make_daemon):
    own = make_daemon(targets="[target mail]\ntype = worker\n",
                      settings="stop_timeout = 200ms\nresult_size_max = 1K").start()
    with own.connect() as client:
        job = submit(client, "mail", "x")
        _, token, *_ = reserve_one(client, "mail")
        assert client.call("ACK", job, token, "r" * 1025).word == "ERR"
        assert client.call("ACK", job, token, "r" * 1024) == "OK"


def test_at_most_once_jobs_are_handed_over_without_waiting_too(make_daemon):
    own = make_daemon(targets="[target mail]\ntype = worker\ndelivery = at-most-once\n",
                      settings="stop_timeout = 200ms").start()
    with own.connect() as client:
        job = submit(client, "mail", "x")
        leased, token, *_ = reserve_one(client, "mail", "TIMEOUT", "0")
        assert leased == job
        assert client.call("ACK", job, token) == "OK"
        left = submit(client, "mail", "y")
        reserve_one(client, "mail", "TIMEOUT", "0")
    own.stop()
    own.start()
    with own.connect() as client:
        assert state_of(client, left) == "uncertain", "its worker may have done it"


def test_run_on_a_worker_target_is_refused(workers):
    with workers.connect() as client:
        assert client.call("RUN", "mail", "x").word == "ERR"


def test_a_thousand_jobs_by_ten_workers_each_once(workers):
    clients = [workers.connect() for _ in range(10)]
    with workers.connect() as producer:
        jobs = {submit(producer, "KEEP", "60000", "mail", str(number)) for number in range(1000)}
    seen = []
    while len(seen) < 1000:
        for client in clients:
            client.send("RESERVE", "mail", "COUNT", "7", "TIMEOUT", "2000")
        for client in clients:
            taken = client.read()
            for job, token, *_ in taken:
                client.send("ACK", job, token)
                seen.append(job)
            for _ in taken:
                assert client.read() == "OK"
    assert len(seen) == 1000 and set(seen) == jobs
    for client in clients:
        client.close()
