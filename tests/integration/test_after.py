"""test_after.py - AFTER, ONFAIL, BIND and EXPIRE: graphs of jobs, what they hand on, and what a
failure, a restart or a kill in the middle does to them."""

import json

import pytest

from harness import process, wire
from harness.daemon import LOCAL

HOUR = "3600000"
FOREVER = "SELECT sleep(3600000)"


def submit(client, *words):
    job = client.call("SUBMIT", *words)
    assert not isinstance(job, wire.Error), job
    return job


def fields_of(client, job):
    return wire.as_map(client.call("JOB", job))


def state_of(client, job):
    return wire.text(fields_of(client, job)["state"])


def error_of(client, job):
    return wire.text(fields_of(client, job)["error"])


def promote(client, job):
    assert client.call("PROMOTE", job) == 1


def gather(client, jobs):
    replies = []
    for at in range(0, len(jobs), 1000):
        replies += client.call("GATHER", *jobs[at:at + 1000])
    return replies


def submit_all(client, commands):
    ids = []
    commands = list(commands)
    for at in range(0, len(commands), 500):
        ids += client.pipeline(commands[at:at + 500])
    errors = [job for job in ids if isinstance(job, wire.Error)]
    assert not errors, errors[0]
    return ids


def make_effects(client):
    client.call("RUN", "local", "CREATE TABLE e(n INTEGER PRIMARY KEY, i)")


def effects(client):
    return [int(row[0]) for row in client.call("RUN", "local", "SELECT i FROM e ORDER BY n")[1:]]


def effect(index, *options):
    return ("SUBMIT", *options, "local", "INSERT INTO e(i) VALUES (?)", str(index))


# --- AFTER -------------------------------------------------------------------------------


def test_after_waits_and_then_runs(local):
    with local.connect() as client:
        make_effects(client)
        first = submit(client, *effect(1, "DELAY", HOUR)[1:])
        second = submit(client, *effect(2)[1:])
        third = submit(client, *effect(3, "AFTER", first, second, first)[1:])
        fields = fields_of(client, third)
        assert wire.text(fields["state"]) == "blocked"
        assert first in fields["after"] and wire.text(fields["onfail"]) == "cancel"
        listed = client.call("JOBS", "STATE", "blocked")[1]
        assert [wire.as_map(job)["id"] for job in listed] == [third]
        assert client.call("AWAIT", second) == "INSERT 0 1"
        assert state_of(client, third) == "blocked", "one of two is not enough"
        promote(client, first)
        assert client.call("AWAIT", third) == "INSERT 0 1"
        assert effects(client) == [2, 1, 3]
        fields = fields_of(client, third)
        assert fields["after"] == [] and int(fields["blockers"]) == 0


def test_after_jobs_that_have_ended(local):
    with local.connect() as client:
        done = submit(client, "local", "SELECT 1")
        dead = submit(client, "local", "SELEC")
        client.call("GATHER", done, dead)
        assert not isinstance(client.call("AWAIT", submit(client, "AFTER", done, "local",
                                                          "SELECT 1")), wire.Error)
        orphan = submit(client, "AFTER", done, dead, "local", "SELECT 1")
        reply = client.call("AWAIT", orphan)
        assert reply.word == "CANCELLED"
        assert error_of(client, orphan) == f"DEPENDENCY job {wire.text(dead)} is dead"
        runs = submit(client, "AFTER", dead, "ONFAIL", "run", "local", "SELECT 1")
        assert client.call("AWAIT", runs) == [[b"1"], [b"1"]]


def test_unknown_ids_refuse_the_submission(local):
    with local.connect() as client:
        first = submit(client, "DELAY", HOUR, "local", "SELECT 1")
        for words in (("AFTER", "123"), ("AFTER", first, "123"), ("BIND", "2", "123", "0", "0")):
            reply = client.call("SUBMIT", *words, "local", "SELECT ?", "x")
            assert reply == "NOJOB no job 123; AFTER and BIND need jobs that exist"
        gone = submit(client, "KEEP", "0", "local", "SELECT 1")
        process.wait_until(lambda: isinstance(client.call("JOB", gone), wire.Error), 60, "its end")
        assert client.call("SUBMIT", "AFTER", gone, "local", "SELECT 1").word == "NOJOB"
        assert len(client.call("JOBS")[1]) == 1, "nothing of the refused ones is stored"


def test_wrong_use(local):
    with local.connect() as client:
        job = wire.text(submit(client, "DELAY", HOUR, "local", "SELECT 1"))
        for words in (("AFTER",), ("AFTER", "x"), ("AFTER", "0"), ("ONFAIL", "run"),
                      ("AFTER", job, "ONFAIL", "perhaps"), ("BIND", "2", job, "0"),
                      ("BIND", "3", job, "0", "0"), ("BIND", "2", job, "-1", "0"),
                      ("BIND", "2", job, "0", "0", "NULL", "2"), ("EXPIRE", "0"),
                      ("EXPIRE", "x")):
            reply = client.call("SUBMIT", *words, "local", "SELECT ?", "1")
            assert isinstance(reply, wire.Error) and reply.word == "ERR", (words, reply)
        for option in ("AFTER", "EXPIRE"):
            assert client.call("RUN", option, "1", "local", "SELECT 1").word == "ERR"


@pytest.mark.parametrize("end", ["dead", "cancelled"])
def test_failure_cascades(local, end):
    with local.connect() as client:
        root = submit(client, "DELAY", HOUR, "local", "SELEC")
        child = submit(client, "AFTER", root, "local", "SELECT 1")
        grandchild = submit(client, "AFTER", child, "local", "SELECT 1")
        runs = submit(client, "AFTER", child, "ONFAIL", "run", "local", "SELECT 'ran' AS r")
        assert client.call("CANCEL" if end == "cancelled" else "PROMOTE", root) == 1
        replies = client.call("GATHER", root, child, grandchild, runs)
        assert replies[1].word == replies[2].word == "CANCELLED"
        assert replies[3] == [[b"r"], [b"ran"]]
        assert error_of(client, child) == f"DEPENDENCY job {wire.text(root)} is {end}"
        assert error_of(client, grandchild) == f"DEPENDENCY job {wire.text(child)} is cancelled"


def test_fan_out_and_fan_in_of_ten_thousand(local):
    with local.connect() as client:
        make_effects(client)
        root = submit(client, "DELAY", HOUR, "local", "SELECT 1")
        middle = submit_all(client, (effect(1, "AFTER", root) for _ in range(9999)))
        last = submit(client, *effect(2, "AFTER", *middle, root)[1:])
        assert int(fields_of(client, last)["blockers"]) == 10000
        too_many = client.call("SUBMIT", "AFTER", *middle, root, last, "local", "SELECT 1")
        assert too_many.word == "ERR" and "10000" in too_many
        other = submit(client, "DELAY", HOUR, "local", "SELECT 1")
        gate = submit_all(client, (effect(3, "AFTER", other) for _ in range(10000)))
        promote(client, other)
        assert set(gather(client, gate)) == {"INSERT 0 1"}
        assert effects(client) == [3] * 10000
        assert client.call("CANCEL", root) == 1
        assert client.call("AWAIT", last).word == "CANCELLED"
        assert {reply.word for reply in gather(client, middle)} == {"CANCELLED"}


def test_fan_in_runs_when_all_have_ended(local):
    with local.connect() as client:
        make_effects(client)
        gate = submit(client, "DELAY", HOUR, "local", "SELECT 1")
        parents = submit_all(client, (effect(1, "AFTER", gate) for _ in range(9999)))
        last = submit(client, *effect(2, "AFTER", gate, *parents)[1:])
        promote(client, gate)
        assert client.call("AWAIT", last) == "INSERT 0 1"
        assert effects(client) == [1] * 9999 + [2]


def test_chain_of_a_thousand(local):
    with local.connect() as client:
        make_effects(client)
        first = job = submit(client, *effect(0, "DELAY", HOUR)[1:])
        for index in range(1, 1000):
            job = submit(client, *effect(index, "AFTER", job)[1:])
        promote(client, first)
        assert client.call("AWAIT", job) == "INSERT 0 1"
        assert effects(client) == list(range(1000))


def test_cancelling_a_chain(local):
    with local.connect() as client:
        root = submit(client, "DELAY", HOUR, "local", "SELECT 1")
        job = root
        chain = []
        for _ in range(2000):
            job = submit(client, "AFTER", job, "local", "SELECT 1")
            chain.append(job)
        assert client.call("CANCEL", root) == 1
        assert {reply.word for reply in gather(client, chain)} == {"CANCELLED"}


def test_kill_in_the_middle_of_a_release(local):
    """Whatever of a large release a kill has met, the rest comes after the restart."""
    with local.connect() as client:
        make_effects(client)
        root = submit(client, "DELAY", "3600000", "KEEP", "0", "local", "SELECT 7 AS v")
        jobs = submit_all(client, (("SUBMIT", "BIND", "2", root, "0", "0", "local",
                                    "INSERT INTO e(i) VALUES (?)", "x") for _ in range(5000)))
        assert client.call("PROMOTE", root) == 1
        process.wait_until(lambda: isinstance(client.call("JOB", root), wire.Error), 60,
                           "the root's end")
    for _ in range(3):
        local.kill()
        local.start()
    with local.connect() as client:
        assert set(gather(client, jobs)) == {"INSERT 0 1"}
        rows = effects(client)
        assert set(rows) == {7} and len(rows) >= 5000
        counts = client.call("JOBS", "STATE", "blocked")[1]
        assert counts == []


def test_graph_survives_a_restart(local):
    with local.connect() as client:
        make_effects(client)
        first = submit(client, *effect(1, "DELAY", "3600000")[1:])
        second = submit(client, *effect(2, "AFTER", first, "DELAY", "10")[1:])
        third = submit(client, *effect(3, "AFTER", second, "SERIAL", "s", "KEY", "k")[1:])
        fourth = submit(client, *effect(4, "SERIAL", "s")[1:])
    local.restart()
    local.kill()
    local.start()
    with local.connect() as client:
        assert state_of(client, fourth) == "blocked"
        assert client.call("PROMOTE", first) == 1
        assert client.call("AWAIT", fourth) == "INSERT 0 1"
        assert effects(client) == [1, 2, 3, 4]
        assert third


def test_delay_of_a_blocked_job_is_kept(local):
    with local.connect() as client:
        first = submit(client, "DELAY", HOUR, "local", "SELECT 1")
        second = submit(client, "AFTER", first, "DELAY", HOUR, "local", "SELECT 1")
        assert state_of(client, second) == "blocked"
        promote(client, first)
        process.wait_until(lambda: state_of(client, second) == "scheduled", 60, "its release")
        assert int(fields_of(client, second)["due"]) > 0


# --- BIND --------------------------------------------------------------------------------


def test_bind_takes_values_of_rows(local):
    with local.connect() as client:
        rows = submit(client, "DELAY", HOUR, "local",
                      "SELECT 10 AS a, 'x' AS b UNION ALL SELECT 20, NULL")
        job = submit(client, "BIND", "2", rows, "1", "0", "BIND", "3", rows, "0", "1", "BIND", "5",
                     rows, "1", "1", "local", "SELECT ? AS a, ? AS b, ? AS c, ? IS NULL AS d",
                     "", "", "own", "")
        promote(client, rows)
        assert client.call("AWAIT", job) == [[b"a", b"b", b"c", b"d"], [b"20", b"x", b"own", b"1"]]
        assert fields_of(client, job)["arguments"][1] == b"20"


def test_bind_of_a_job_that_is_done(local):
    with local.connect() as client:
        status = submit(client, "local", "CREATE TABLE t(v)")
        text = submit(client, "FORMAT", "json", "local", "SELECT 1 AS one")
        transaction = submit(client, "local", "TX", "2", "INSERT INTO t VALUES (5)", "0",
                             "SELECT v FROM t", "0")
        client.call("GATHER", status, text, transaction)
        job = submit(client, "BIND", "2", status, "0", "0", "BIND", "3", text, "0", "0", "BIND",
                     "4", transaction, "0", "0", "local", "SELECT ?, ?, ?", "", "", "")
        row = client.call("AWAIT", job)[1]
        assert row[0] == b"CREATE TABLE" and json.loads(row[1]) == [{"one": 1}] and row[2] == b"5"
        for place, said in ((("1", "0"), "row"), (("0", "7"), "column")):
            reply = client.call("SUBMIT", "BIND", "2", text, *place, "local", "SELECT ?", "")
            assert reply.word == "ERR" and "BIND 2" in reply and f"no such {said}" in reply


def test_bind_of_what_is_not_there(local):
    with local.connect() as client:
        rows = submit(client, "DELAY", HOUR, "local", "SELECT 1 AS one")
        job = submit(client, "BIND", "2", rows, "1", "0", "local", "SELECT ?", "")
        behind = submit(client, "AFTER", job, "local", "SELECT 1")
        promote(client, rows)
        reply = client.call("AWAIT", job)
        assert reply.word == "FAILED" and "BIND" in reply and "no such row" in reply
        assert client.call("AWAIT", behind).word == "CANCELLED"


def test_bind_and_onfail_run(local):
    with local.connect() as client:
        dead = submit(client, "DELAY", HOUR, "local", "SELEC")
        job = submit(client, "BIND", "2", dead, "0", "0", "ONFAIL", "run", "local", "SELECT ?", "")
        promote(client, dead)
        reply = client.call("AWAIT", job)
        assert reply.word == "FAILED" and "BIND" in reply
        reply = client.call("SUBMIT", "BIND", "2", dead, "0", "0", "ONFAIL", "run", "local",
                            "SELECT ?", "")
        assert reply.word == "ERR" and "no result" in reply


def test_bind_survives_keep_zero_and_a_kill(local):
    with local.connect() as client:
        first = submit(client, "KEEP", "0", "DELAY", HOUR, "local", "SELECT 'kept' AS v")
        gate = submit(client, "DELAY", HOUR, "local", "SELECT 1")
        job = submit(client, "BIND", "2", first, "0", "0", "AFTER", gate, "local",
                     "SELECT ? AS v", "x")
        promote(client, first)
        process.wait_until(lambda: isinstance(client.call("JOB", first), wire.Error), 60, "its end")
    local.kill()
    local.start()
    with local.connect() as client:
        promote(client, gate)
        assert client.call("AWAIT", job) == [[b"v"], [b"kept"]]


def test_chain_of_binds_counts(local):
    with local.connect() as client:
        first = job = submit(client, "DELAY", HOUR, "local", "SELECT 0 AS n")
        for _ in range(200):
            job = submit(client, "BIND", "2", job, "0", "0", "local",
                         "SELECT CAST(? AS INTEGER) + 1 AS n", "")
        promote(client, first)
        assert client.call("AWAIT", job) == [[b"n"], [b"200"]]


def test_bind_across_engines(client, table, redis_client):
    """A row of PostgreSQL into Redis, an array of Redis into SQLite, and that into PostgreSQL."""
    row = submit(client, "DELAY", HOUR, "main", "SELECT 'list' AS k, NULL AS n, 42 AS v")
    push = submit(client, "BIND", "2", row, "0", "0", "BIND", "3", row, "0", "2", "BIND", "4", row,
                  "0", "1", "cache", "RPUSH", "", "", "")
    pair = submit(client, "AFTER", push, "cache", "LRANGE", "list", "0", "-1")
    local = submit(client, "BIND", "2", pair, "0", "0", "local", "SELECT ? + 1 AS n", "")
    stored = submit(client, "BIND", "2", local, "0", "0", "main",
                    f"INSERT INTO {table}(v) VALUES ($1)", "")
    promote(client, row)
    assert client.call("AWAIT", stored) == "INSERT 0 1"
    assert redis_client.lrange("list", 0, -1) == [b"42", b""], "Redis has no NULL"
    assert client.call("RUN", "main", f"SELECT v FROM {table}")[1:] == [[b"43"]]
    refused = client.call("SUBMIT", "BIND", "2", pair, "5", "0", "cache", "SET", "", "x")
    assert refused.word == "ERR" and "no such row" in refused


# --- EXPIRE ------------------------------------------------------------------------------


def test_expire_in_every_waiting_state(make_daemon):
    own = make_daemon(extra="[queue one]\nconcurrency = 1\n").start()
    with own.connect() as client:
        runs = submit(client, "QUEUE", "one", "local", FOREVER)
        process.wait_until(lambda: state_of(client, runs) == "running", 60, "it to run")
        ready = submit(client, "QUEUE", "one", "EXPIRE", "300", "local", "SELECT 1")
        scheduled = submit(client, "DELAY", HOUR, "EXPIRE", "300", "local", "SELECT 1")
        blocked = submit(client, "AFTER", runs, "EXPIRE", "300", "local", "SELECT 1")
        behind = submit(client, "AFTER", blocked, "local", "SELECT 1")
        assert int(fields_of(client, ready)["expires_at"]) > 0
        for job in (ready, scheduled, blocked):
            reply = client.call("AWAIT", job)
            assert reply.startswith("FAILED EXPIRED "), reply
            assert state_of(client, job) == "dead"
        assert client.call("AWAIT", behind).word == "CANCELLED"
        assert state_of(client, runs) == "running"
        assert client.call("CANCEL", runs) == 1
    own.restart()
    with own.connect() as client:
        assert state_of(client, ready) == "dead"


def start_in_time(client, begun, *words):
    """A job that began before it expired, and its EXPIRE; a slow machine needs a longer one."""
    for expire in ("300", "3000", "30000"):
        job = submit(client, "EXPIRE", expire, *words)
        if process.wait_until(lambda one=job: begun(one) and "begun" or state_of(client, one)
                              == "dead" and "late", 60, "its start or its end") == "begun":
            return job, expire
        assert error_of(client, job).startswith("EXPIRED ")
    raise AssertionError("no job has begun within 30 s")


def wait_expired(client, expire):
    """Until an EXPIRE that began before this call is over: that of a later job is."""
    later = submit(client, "DELAY", HOUR, "EXPIRE", expire, "local", "SELECT 1")
    assert client.call("AWAIT", later).startswith("FAILED EXPIRED ")


def test_expire_does_not_touch_what_has_started(make_daemon):
    own = make_daemon(LOCAL + "[target mail]\ntype = worker\n").start()
    with own.connect() as client:
        leased = []

        def reserve(_job):
            leased[:] = client.call("RESERVE", "mail", "TIMEOUT", "0")
            return leased

        runs, expire = start_in_time(client, reserve, "mail", "x")
        wait_expired(client, expire)
        [[job, token, *_]] = leased
        assert job == runs and state_of(client, runs) == "running"
        assert client.call("ACK", job, token, "in time") == "OK"
        assert client.call("AWAIT", runs) == b"in time"
        retried, expire = start_in_time(
            client, lambda one: int(fields_of(client, one)["attempts"]) == 1, "TIMEOUT", "50",
            "RETRY", "1", "BACKOFF", HOUR, HOUR, "local", FOREVER)
        wait_expired(client, expire)
        assert state_of(client, retried) == "scheduled"
        promote(client, retried)
        reply = client.call("AWAIT", retried)
        assert "TIMEOUT" in reply and int(fields_of(client, retried)["attempts"]) == 2


def test_expire_while_the_daemon_is_away(local):
    with local.connect() as client:
        jobs = client.pipeline(("SUBMIT", "DELAY", "200", "EXPIRE", "100", "local", "SELECT 1")
                               for _ in range(700))
    local.kill()
    local.start()
    with local.connect() as client:
        assert {reply.split(" ")[1] for reply in gather(client, jobs)} == {"EXPIRED"}


# --- NULL and TX -------------------------------------------------------------------------


def test_null_with_submit_and_tx(local):
    with local.connect() as client:
        job = submit(client, "NULL", "2", "local", "SELECT ? IS NULL AS a, ? AS b", "", "x")
        assert client.call("AWAIT", job) == [[b"a", b"b"], [b"1", b"x"]]
        job = submit(client, "NULL", "5", "local", "TX", "1", "SELECT ? IS NULL AS a", "1", "")
        assert client.call("AWAIT", job) == [[[b"a"], [b"1"]]]
        source = submit(client, "local", "SELECT 5 AS v")
        job = submit(client, "BIND", "5", source, "0", "0", "local", "TX", "1", "SELECT ? AS a",
                     "1", "")
        assert client.call("AWAIT", job) == [[[b"a"], [b"5"]]]
