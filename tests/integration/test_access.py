"""test_access.py - what a socket allows, and what a client that leaves takes with it."""

import pytest

from harness import process, wire

OBSERVE = "[socket look]\npath = {folder}/look.sock\nallow = observe\n"
SUBMIT = "[socket give]\npath = {folder}/give.sock\nallow = submit\n"


@pytest.fixture
def guarded(make_daemon):
    own = make_daemon()
    text = own.configuration.read_text(encoding="utf-8")
    own.configure(text + OBSERVE.format(folder=own.folder) + SUBMIT.format(folder=own.folder))
    return own.start()


def test_observers_look_and_change_nothing(guarded):
    with guarded.connect() as client:
        job = client.call("SUBMIT", "DELAY", "3600000", "local", "SELECT 1")
    with wire.Wire(guarded.folder / "look.sock") as observer:
        assert observer.call("PING") == "PONG"
        assert not isinstance(observer.call("JOB", job), wire.Error)
        assert not isinstance(observer.call("JOBS"), wire.Error)
        for command in (("SUBMIT", "local", "SELECT 1"), ("RUN", "local", "SELECT 1"),
                        ("CANCEL", job)):
            assert observer.call(*command).word == "NOPERM", command
    with guarded.connect() as client:
        assert wire.text(wire.as_map(client.call("JOB", job))["state"]) == "scheduled"


def test_submitters_submit_and_await(guarded):
    with wire.Wire(guarded.folder / "give.sock") as submitter:
        job = submitter.call("SUBMIT", "local", "SELECT 1 AS one")
        assert submitter.call("AWAIT", job) == [[b"one"], [b"1"]]
        assert submitter.call("RUN", "local", "SELECT 1 AS one") == [[b"one"], [b"1"]]


def test_run_ends_with_its_client(three, postgres):
    """Nobody waits for it any more: the statement is stopped on the server."""
    def active():
        return postgres.value("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND "
                              "query LIKE '%%/* leaver */%%' AND pid <> pg_backend_pid()")

    client = three.connect()
    client.send("RUN", "main", "SELECT pg_sleep(3600) /* leaver */")
    process.wait_until(active, 20, "the statement to run")
    client.close()
    process.wait_until(lambda: not active(), 20, "the statement to be stopped")
    assert three.answers()
