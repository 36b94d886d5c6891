"""test_access.py - what a socket allows, and what a client that leaves takes with it."""

import os
import pwd

import pytest

from harness import process, wire
from harness.daemon import LOCAL

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


# --- sockets with fewer rights -------------------------------------------------------------------

RIGHTS = {
    "submit": (["SUBMIT", "RUN", "AWAIT", "JOB"],
               ["CANCEL", "RETRY", "DELETE", "PROMOTE", "JOBS", "QUEUES",
                "TARGETS", "METRICS", "SHUTDOWN", "RELOAD", "BACKUP", "RESERVE",
                "PSUBSCRIBE", "QUEUE", "TARGET", "ACK", "PROGRESS"]),
    "work": (["RESERVE", "ACK", "NACK", "EXTEND", "PROGRESS"],
             ["SUBMIT", "RUN", "CANCEL", "JOBS", "METRICS", "SHUTDOWN", "AWAIT", "ENTER"]),
    "observe": (["JOBS", "QUEUES", "TARGETS", "METRICS", "AWAIT"],
                ["SUBMIT", "RUN", "CANCEL", "RETRY", "DELETE", "SHUTDOWN", "RELOAD", "BACKUP",
                 "RESERVE", "MULTI", "ENTER"]),
}
WORDS = {"ACK": 2, "NACK": 2, "EXTEND": 3, "PROGRESS": 3, "QUEUE": 2, "TARGET": 2, "JOBS": 0,
         "QUEUES": 0, "TARGETS": 0, "METRICS": 0, "SHUTDOWN": 0, "RELOAD": 0, "MULTI": 0}


@pytest.mark.parametrize("right", RIGHTS)
def test_each_right_has_its_commands(make_daemon, right):
    own = make_daemon()
    text = own.configuration.read_text(encoding="utf-8")
    own.configure(text + f"[socket less]\npath = {own.folder}/less.sock\nallow = {right}\n")
    own.start()
    allowed, refused = RIGHTS[right]
    with wire.Wire(own.folder / "less.sock") as client:
        for name in refused:
            answer = client.call(name, *["1"] * WORDS.get(name, 1))
            assert answer.word == "NOPERM" and f"(allowed: {right})" in str(answer), name
        for name in allowed:
            answer = client.call(name, *["no-such"] * WORDS.get(name, 1))
            assert not (isinstance(answer, wire.Error) and answer.word == "NOPERM"), name
    assert own.answers(), "nobody has shut it down"


# --- who may use a target ------------------------------------------------------------------------

STRANGER = 54321


def guard(make_daemon, **keys):
    lines = LOCAL_WORKER + "".join(f"{key} = {value}\n" for key, value in keys.items())
    return make_daemon(LOCAL + "".join(f"{key} = {value}\n" for key, value in keys.items()) + lines)


LOCAL_WORKER = "[target crew]\ntype = worker\n"

FORBIDDEN = [
    ("SUBMIT", "local", "SELECT 1"),
    ("RUN", "local", "SELECT 1"),
    ("ENTER", "local"),
    ("RESERVE", "crew", "TIMEOUT", "0"),
    ("CRON", "SET", "mine", "@daily", "SUBMIT", "local", "SELECT 1"),
]


def test_a_stranger_is_refused_and_the_log_says_who(make_daemon):
    daemon = guard(make_daemon, users=STRANGER, groups=STRANGER).start()
    with daemon.connect() as client:
        for command in FORBIDDEN:
            answer = client.call(*command)
            assert answer.word == "NOPERM" and f"uid {os.getuid()} may not use" in str(answer)
        assert client.call("MULTI") == "OK"
        assert client.call("SUBMIT", "local", "SELECT 1").word == "NOPERM"
        assert client.call("EXEC").word == "EXECABORT"
        assert client.call("CRON", "LIST") == []
        assert client.call("JOBS")[1] == []
    lines = [line for line in daemon.output().splitlines() if "refused: uid" in line]
    assert len(lines) == 1, "one line a minute"
    assert f"refused: uid {os.getuid()} " in lines[0] and f"pid {os.getpid()}" in lines[0]


@pytest.mark.parametrize("keys", [{"users": f"{STRANGER}, {os.getuid()}"},
                                  {"groups": f"{STRANGER} {os.getgid()}"},
                                  {"users": STRANGER, "groups": os.getgid()},
                                  {"users": pwd.getpwuid(os.getuid()).pw_name}])
def test_who_is_named_may(make_daemon, keys):
    daemon = guard(make_daemon, **keys).start()
    with daemon.connect() as client:
        assert client.call("AWAIT", client.call("SUBMIT", "local", "SELECT 1 AS one")) == \
            [[b"one"], [b"1"]]
        assert client.call("RUN", "local", "SELECT 1 AS one") == [[b"one"], [b"1"]]
        assert client.call("ENTER", "local") == "OK"
        assert client.call(*FORBIDDEN[4]) == "OK"
        assert not isinstance(client.call("RESERVE", "crew", "TIMEOUT", "0"), wire.Error)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can join a group")
def test_supplementary_groups_count(make_daemon):
    daemon = guard(make_daemon, groups=STRANGER).start()
    before = os.getgroups()
    os.setgroups([1, STRANGER])
    try:
        member = daemon.connect()
    finally:
        os.setgroups(before)
    with member, daemon.connect() as other:
        assert member.call("RUN", "local", "SELECT 1 AS one") == [[b"one"], [b"1"]]
        assert other.call("RUN", "local", "SELECT 1 AS one").word == "NOPERM"


@pytest.mark.parametrize("keys, said", [({"users": "no-user"}, "user 'no-user' of [target"),
                                        ({"groups": "no-group"}, "group 'no-group' of [target"),
                                        ({"users": ","}, "users in [target local] names nobody")])
def test_wrong_names_are_refused_at_the_start(make_daemon, keys, said):
    code, output = guard(make_daemon, **keys).refuses_to_start()
    assert code == 78 and said in output
