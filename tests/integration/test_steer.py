"""test_steer.py - RETRY, DELETE, PROMOTE and CANCEL by id and by filter, and the history of
attempts: success, wrong use, a restart or a kill in the middle, both RESP versions."""

import pytest
import redis

from harness import daemon as daemon_module, process, wire

HOUR = "3600000"
WORKERS = daemon_module.LOCAL + daemon_module.target("crew", "worker")


def state_of(client, job_id):
    reply = client.call("JOB", job_id)
    return None if isinstance(reply, wire.Error) else wire.text(wire.as_map(reply)["state"])


def scheduled(client, count, *options):
    return client.pipeline([("SUBMIT", *options, "DELAY", HOUR, "local", "SELECT 1")] * count)


def dead(client, count, *options):
    ids = client.pipeline([("SUBMIT", *options, "local", "SELECT * FROM nowhere")] * count)
    for job_id in ids:
        assert client.call("AWAIT", job_id).word == "FAILED"
    return ids


@pytest.fixture(params=[2, 3])
def client(request, local):
    with local.connect() as connection:
        if request.param == 3:
            connection.call("HELLO", "3")
        yield connection


def test_each_says_how_many_it_changed(client):
    first, second, third = scheduled(client, 3)
    failed, = dead(client, 1)
    assert client.call("PROMOTE", first, failed, "12345", first) == 1
    assert client.call("AWAIT", first) is not None
    assert client.call("RETRY", first, second, failed, "12345") == 1
    assert client.call("AWAIT", failed).word == "FAILED"
    assert client.call("CANCEL", second, first) == 1
    assert client.call("RETRY", second) == 1
    assert client.call("AWAIT", second) is not None
    assert client.call("DELETE", first, second, third, failed, "12345") == 4
    for job_id in (first, second, third, failed):
        assert client.call("JOB", job_id).word == "NOJOB"
        assert client.call("AWAIT", job_id).word == "NOJOB"


@pytest.mark.parametrize("command", ["RETRY", "DELETE", "PROMOTE", "CANCEL"])
def test_wrong_use(local, command):
    with local.connect() as client:
        assert "wrong number of arguments" in client.call(command)
        assert "is not a job id" in client.call(command, "x")
        assert "needs at least one of QUEUE STATE TARGET MATCH" in client.call(command, "WHERE")
        assert "needs at least one of" in client.call(command, "WHERE", "LIMIT", "5")
        assert "has no option 'CURSOR'" in client.call(command, "WHERE", "CURSOR", "5")
        assert "has no option 'nosuch'" in client.call(command, "WHERE", "nosuch", "5")
        assert "QUEUE needs a value" in client.call(command, "WHERE", "QUEUE")
        assert "is no state" in client.call(command, "WHERE", "STATE", "nosuch")
        assert "is not a number from 1" in client.call(command, "WHERE", "QUEUE", "q",
                                                       "LIMIT", "0")


@pytest.mark.parametrize("command,state", [("RETRY", "done"), ("RETRY", "ready"),
                                           ("DELETE", "running"), ("PROMOTE", "dead"),
                                           ("CANCEL", "done")])
def test_a_state_the_command_does_not_change(local, command, state):
    with local.connect() as client:
        reply = client.call(command, "WHERE", "STATE", state)
        assert f"{command} changes no job in that state; it changes:" in reply


def test_running_jobs_are_not_deleted(make_daemon):
    daemon = make_daemon(WORKERS).start()
    with daemon.connect() as client, daemon.connect() as worker:
        job_id = client.call("SUBMIT", "crew", "x")
        (_, token, *_), = worker.call("RESERVE", "crew")
        assert client.call("DELETE", job_id) == 0
        assert client.call("DELETE", "WHERE", "TARGET", "crew") == 0
        assert worker.call("ACK", job_id, token) == "OK"
        assert client.call("DELETE", job_id) == 1


def test_who_waits_for_a_deleted_job_is_told(local):
    with local.connect() as client, local.connect() as waiter:
        job_id, = scheduled(client, 1)
        waiter.send("AWAIT", job_id)
        process.wait_until(lambda: b"cmd=await" in client.call("CLIENT", "LIST").lower(), 30,
                           "the AWAIT")
        assert client.call("DELETE", job_id) == 1
        assert waiter.read().word == "CANCELLED"


@pytest.mark.parametrize("end", ["restart", "kill"])
def test_what_was_answered_is_there_after(local, end):
    with local.connect() as client:
        kept, gone, soon = scheduled(client, 3)
        failed, = dead(client, 1)
        client.call("CANCEL", kept)
        assert client.call("DELETE", gone) == 1
        assert client.call("PROMOTE", soon) == 1
        assert client.call("RETRY", failed, kept) == 2
    if end == "kill":
        local.kill()
        local.start()
    else:
        local.restart()
    with local.connect() as client:
        assert client.call("JOB", gone).word == "NOJOB"
        assert not isinstance(client.call("AWAIT", soon), wire.Error)
        assert not isinstance(client.call("AWAIT", kept), wire.Error)
        assert client.call("AWAIT", failed).word == "FAILED"


def test_by_filter(local):
    with local.connect() as client:
        scheduled(client, 700, "QUEUE", "a")
        scheduled(client, 30, "QUEUE", "b")
        failed = dead(client, 5, "QUEUE", "b")
        assert client.call("CANCEL", "WHERE", "QUEUE", "a", "LIMIT", "600") == 600
        assert client.call("RETRY", "WHERE", "QUEUE", "a") == 0, "cancelled on purpose"
        cancelled = ("WHERE", "QUEUE", "a", "STATE", "cancelled")
        assert client.call("RETRY", *cancelled, "LIMIT", "10") == 10
        assert client.call("DELETE", *cancelled) == 590
        assert client.call("RETRY", "WHERE", "STATE", "dead") == 5
        for job_id in failed:
            assert client.call("AWAIT", job_id).word == "FAILED"
        assert client.call("DELETE", "WHERE", "MATCH", "*nowhere*") == 5
        assert client.call("PROMOTE", "WHERE", "TARGET", "local", "QUEUE", "b") == 30
        assert client.call("PROMOTE", "WHERE", "TARGET", "nosuch") == 0
        assert client.call("DELETE", "WHERE", "QUEUE", "a", "STATE", "scheduled") == 100
        assert client.call("DELETE", "WHERE", "QUEUE", "a", "STATE", "scheduled") == 0


def test_jobs_that_come_during_the_command_are_left_alone(make_daemon):
    """A job that is cancelled makes room for nothing: only those before the command are counted."""
    daemon = make_daemon(WORKERS).start()
    with daemon.connect() as client, daemon.connect() as other:
        before = client.pipeline([("SUBMIT", "crew", "x")] * 3000)
        client.send("CANCEL", "WHERE", "TARGET", "crew")
        process.wait_until(lambda: state_of(other, before[0]) == "cancelled", 30, "the first page")
        late = other.pipeline([("SUBMIT", "crew", "x")] * 50)
        assert client.read() == 3000
        assert {state_of(other, job_id) for job_id in late} == {"ready"}


def test_a_key_that_another_job_holds(client):
    first = client.call("SUBMIT", "KEY", "k", "DELAY", HOUR, "local", "SELECT 1")
    assert client.call("CANCEL", first) == 1
    second = client.call("SUBMIT", "KEY", "k", "DELAY", HOUR, "local", "SELECT 2")
    assert client.call("RETRY", first) == 0
    assert state_of(client, first) == "cancelled" and state_of(client, second) == "scheduled"
    assert client.call("DELETE", second) == 1
    third = client.call("SUBMIT", "KEY", "other", "DELAY", HOUR, "local", "SELECT 3")
    assert client.call("RETRY", first) == 1
    assert client.call("SUBMIT", "KEY", "other", "local", "SELECT 1") == third
    assert not isinstance(client.call("AWAIT", first), wire.Error)
    assert client.call("SUBMIT", "KEY", "k", "DELAY", HOUR, "local", "SELECT 4") != first


def test_the_end_of_a_serial_line(make_daemon):
    daemon = make_daemon(WORKERS).start()
    with daemon.connect() as client:
        failed = client.call("SUBMIT", "SERIAL", "s", "crew", "failed")
        client.call("CANCEL", failed)
        line = [client.call("SUBMIT", "SERIAL", "s", "crew", str(number)) for number in range(3)]
        assert client.call("RETRY", failed) == 1
        assert state_of(client, failed) == "blocked"
        line.append(failed)
        line.append(client.call("SUBMIT", "SERIAL", "s", "crew", "last"))
    daemon.kill()
    daemon.start()
    with daemon.connect() as client:
        for expected in line:
            (job_id, token, *_), = client.call("RESERVE", "crew", "COUNT", "10")
            assert job_id == expected
            assert client.call("ACK", job_id, token) == "OK"
        assert client.call("RETRY", *line) == 0


def test_a_deleted_job_frees_those_that_wait_for_it(client):
    parent, = scheduled(client, 1, "SERIAL", "s")
    behind = client.call("SUBMIT", "SERIAL", "s", "local", "SELECT 1")
    runs = client.call("SUBMIT", "AFTER", parent, "ONFAIL", "run", "local", "SELECT 1")
    falls = client.call("SUBMIT", "AFTER", parent, "local", "SELECT 1")
    assert client.call("DELETE", parent) == 1
    assert not isinstance(client.call("AWAIT", behind), wire.Error)
    assert not isinstance(client.call("AWAIT", runs), wire.Error)
    assert client.call("AWAIT", falls).word == "CANCELLED"
    assert client.call("RETRY", falls) == 1
    assert not isinstance(client.call("AWAIT", falls), wire.Error)


def test_blocked_jobs(client):
    parent, = scheduled(client, 1)
    child = client.call("SUBMIT", "AFTER", parent, "QUEUE", "later", "local", "SELECT 1")
    assert client.call("PROMOTE", child) == 0
    assert client.call("RETRY", child) == 0
    _, page = client.call("JOBS", "STATE", "blocked")
    assert [wire.as_map(one)["id"] for one in page] == [child]
    assert client.call("DELETE", "WHERE", "STATE", "blocked") == 1
    assert client.call("PROMOTE", parent) == 1
    assert not isinstance(client.call("AWAIT", parent), wire.Error)


def test_a_value_that_is_missing(client):
    parent, = scheduled(client, 1)
    child = client.call("SUBMIT", "BIND", "2", parent, "0", "0", "local", "SELECT ?", "x")
    assert client.call("CANCEL", parent) == 1
    assert client.call("AWAIT", child).word == "CANCELLED"
    assert client.call("RETRY", child) == 0, "its value never came"
    assert state_of(client, child) == "cancelled"


def test_an_expiry_that_is_over(client):
    job_id = client.call("SUBMIT", "EXPIRE", "1", "DELAY", HOUR, "local", "SELECT 1")
    assert isinstance(client.call("AWAIT", job_id), wire.Error)
    assert client.call("RETRY", job_id) == 1
    assert not isinstance(client.call("AWAIT", job_id), wire.Error)


def test_history(local):
    with local.connect() as client:
        failed, = dead(client, 1)
        good = client.call("SUBMIT", "local", "SELECT 1")
        client.call("AWAIT", good)
        assert wire.as_map(client.call("JOB", good))["history"] == []
        client.call("RETRY", failed)
        client.call("AWAIT", failed)
    local.restart()
    with local.connect() as client:
        fields = wire.as_map(client.call("JOB", failed))
        history = [wire.as_map(one) for one in fields["history"]]
        assert [one["number"] for one in history] == [1, 2]
        for one in history:
            assert b"nowhere" in one["message"]
            assert one["code"] and one["started"] <= one["ended"]


def test_rights(make_daemon):
    daemon = make_daemon(extra="[socket watch]\npath = watch.sock\nallow = observe\n")
    watch = daemon.folder / "watch.sock"
    daemon.configure(daemon.configuration.read_text().replace("watch.sock", str(watch)))
    daemon.start()
    with wire.Wire(watch) as client:
        for command in ("RETRY", "DELETE", "PROMOTE"):
            assert client.call(command, "1").word == "NOPERM"


def test_redis_py(local):
    client = local.redis()
    job_id = client.execute_command("SUBMIT", "DELAY", HOUR, "local", "SELECT 1")
    assert client.execute_command("PROMOTE", job_id) == 1
    client.execute_command("AWAIT", job_id)
    assert client.execute_command("RETRY", job_id) == 0
    assert client.execute_command("DELETE", "WHERE", "STATE", "done") == 1
    with pytest.raises(redis.ResponseError):
        client.execute_command("JOB", job_id)
