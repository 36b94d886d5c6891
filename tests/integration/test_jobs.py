"""test_jobs.py - JOB shows one job, JOBS lists many, page by page, filtered."""

import time

import pytest

from harness import wire

FIELDS = {"id", "queue", "target", "state", "priority", "attempts", "retry", "due", "created",
          "error"}


@pytest.fixture
def client(local):
    with local.connect() as connection:
        yield connection


def listed(client, *filters, limit=100):
    """Every job of a listing, over all its pages."""
    jobs, cursor = [], "0"
    for _ in range(1000):
        cursor, page = client.call("JOBS", *filters, "LIMIT", str(limit), "CURSOR", cursor)
        assert len(page) <= limit
        jobs += [wire.as_map(job) for job in page]
        cursor = wire.text(cursor)
        if cursor == "0":
            return jobs
    raise AssertionError("the listing does not end")


def test_job_shows_every_field(client):
    before_ms = int(time.time() * 1000) - 1
    job = client.call("SUBMIT", "QUEUE", "q", "PRIORITY", "7", "RETRY", "2", "DELAY", "3600000",
                      "local", "SELECT 1")
    fields = wire.as_map(client.call("JOB", job))
    assert FIELDS <= set(fields)
    assert wire.text(fields["id"]) == wire.text(job)
    assert wire.text(fields["queue"]) == "q"
    assert wire.text(fields["target"]) == "local"
    assert wire.text(fields["state"]) == "scheduled"
    assert [int(fields[name]) for name in ("priority", "retry", "attempts")] == [7, 2, 0]
    assert before_ms <= int(fields["created"]) <= int(time.time() * 1000) + 1
    assert int(fields["due"]) >= int(fields["created"]) + 3600000 - 5


def test_dead_job_says_why(client):
    job = client.call("SUBMIT", "local", "SELECT * FROM nosuch")
    assert client.call("AWAIT", job).startswith("FAILED SQLITE_ERROR ")
    fields = wire.as_map(client.call("JOB", job))
    assert wire.text(fields["state"]) == "dead"
    assert "SQLITE_ERROR" in repr(fields["error"]) and "nosuch" in repr(fields["error"])


def test_pages_hold_every_job_once(client):
    jobs = client.pipeline(("SUBMIT", "DELAY", "3600000", "local", "SELECT 1") for _ in range(250))
    ids = [wire.text(job["id"]) for job in listed(client, limit=40)]
    assert sorted(ids) == sorted(wire.text(job) for job in jobs)


def test_filters(client):
    waiting = client.call("SUBMIT", "QUEUE", "later", "DELAY", "3600000", "local", "SELECT 1")
    done = client.call("SUBMIT", "QUEUE", "now", "local", "SELECT 1")
    dead = client.call("SUBMIT", "QUEUE", "now", "local", "SELEC")
    client.call("GATHER", done, dead)

    def ids(*filters):
        return sorted(wire.text(job["id"]) for job in listed(client, *filters))

    assert ids("STATE", "scheduled") == [wire.text(waiting)]
    assert ids("STATE", "dead") == [wire.text(dead)]
    assert ids("STATE", "done") == [wire.text(done)]
    assert ids("QUEUE", "now") == sorted([wire.text(done), wire.text(dead)])
    assert ids("QUEUE", "now", "STATE", "dead") == [wire.text(dead)]
    assert ids("QUEUE", "nosuch") == []
    assert ids("TARGET", "local") == sorted(wire.text(job) for job in (waiting, done, dead))


def test_limit_is_limited(client):
    client.pipeline(("SUBMIT", "DELAY", "3600000", "local", "SELECT 1") for _ in range(20))
    _, page = client.call("JOBS", "LIMIT", "5")
    assert 0 < len(page) <= 5
    assert isinstance(client.call("JOBS", "LIMIT", "0"), wire.Error)
    reply = client.call("JOBS", "LIMIT", "4294967296")
    assert isinstance(reply, wire.Error) or len(reply[1]) <= 20
