"""test_outage.py - PostgreSQL goes away while jobs are queued or running, and comes back."""

import time

import pytest

from harness import daemon as daemon_module
from harness import wire

COUNT = 1000


@pytest.fixture
def outage(postgres):
    """Whatever happens, the shared server runs again afterwards."""
    yield postgres
    if not postgres.running:
        postgres.start()


def submit_all(client, table, count):
    """Submits one by one; each is answered although the server it is for is not there."""
    jobs = []
    for number in range(count):
        job = client.call("SUBMIT", "main", f"INSERT INTO {table}(v) VALUES ($1)", str(number))
        assert not isinstance(job, wire.Error), job
        jobs.append(job)
    return jobs


def attempts(client, jobs):
    return [int(wire.as_map(client.call("JOB", job))["attempts"]) for job in jobs]


def test_jobs_queued_while_it_is_gone_are_all_done(three, client, outage, table):
    assert client.call("RUN", "main", "SELECT 1 AS one") == [[b"one"], [b"1"]]
    outage.stop()
    jobs = submit_all(client, table, COUNT)
    assert client.call("AWAIT", jobs[0], "TIMEOUT", "500").word == "TIMEOUT"
    reply = client.call("RUN", "TIMEOUT", "5000", "main", "SELECT 1")
    assert reply.word == "UNAVAILABLE"
    assert client.call("RUN", "local", "SELECT 1 AS one") == [[b"one"], [b"1"]]
    assert set(attempts(client, jobs[:50])) == {0}
    outage.start()
    assert client.call("GATHER", *jobs) == ["INSERT 0 1"] * COUNT
    assert outage.value(f"SELECT count(*) FROM {table}") == COUNT
    assert max(attempts(client, jobs)) <= 1


def test_server_dies_under_load(three, client, outage, postgres):
    """At least once: a job whose answer was cut off runs again; the outage
    costs a job that never reached the server nothing."""
    postgres.query("DROP TABLE IF EXISTS load")
    postgres.query("CREATE TABLE load (v text)")
    jobs = client.pipeline(("SUBMIT", "RETRY", "3", "main",
                            "INSERT INTO load SELECT $1 FROM pg_sleep(0.002)", str(number))
                           for number in range(COUNT))
    time.sleep(0.1)
    outage.stop()
    time.sleep(0.3)
    outage.start()
    assert client.call("GATHER", *jobs) == ["INSERT 0 1"] * COUNT
    assert postgres.value("SELECT count(DISTINCT v) FROM load") == COUNT


def test_server_absent_from_the_start(make_daemon, postgres, outage, table):
    outage.stop()
    own = make_daemon(daemon_module.target("main", "postgres", uri=postgres.uri)).start()
    with own.connect() as client:
        jobs = submit_all(client, table, 20)
        outage.start()
        assert client.call("GATHER", *jobs) == ["INSERT 0 1"] * 20


def test_daemon_restarts_during_the_outage(three, client, outage, table):
    outage.stop()
    jobs = submit_all(client, table, 50)
    three.restart()
    outage.start()
    with three.connect() as again:
        assert again.call("GATHER", *jobs) == ["INSERT 0 1"] * 50
    assert outage.value(f"SELECT count(*) FROM {table}") == 50
