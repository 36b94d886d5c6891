"""test_exactly_once.py - each job's effect happens once while the daemon is killed, sessions are
terminated and connections are cut; at-most-once jobs are parked, never run again.

CHAOS_ROUNDS says how often (`make test-chaos`: 200), CHAOS_SEED repeats a run's choices.
"""

import os
import random
import time

import psycopg2
import pytest
import redis

from harness import daemon as daemon_module
from harness import process, proxy, wire
from harness import redis_server as redis_server_module

ROUNDS = int(os.environ.get("CHAOS_ROUNDS", "4"))
SEED = int(os.environ.get("CHAOS_SEED", str(random.SystemRandom().randrange(1 << 32))))
JOBS = 100 if daemon_module.sanitized() else 400
MORE_ROUNDS = 6
LONG = pytest.mark.limit(200 + 30 * (ROUNDS + MORE_ROUNDS))
# An outage may cost attempts here (a terminated session counts), so there are enough of them.
PATIENT = ("RETRY", "1000000", "BACKOFF", "5", "50")


class Chaos:
    """Rounds of submitting, disturbing, killing; at the end every acknowledged job must be done."""

    def __init__(self, own, command, disturb):
        self.own = own
        self.command = command
        self.disturb = disturb
        self.chance = random.Random(SEED)
        self.jobs = {}  # number -> id
        print(f"CHAOS_SEED={SEED} CHAOS_ROUNDS={ROUNDS}")

    def round(self, first):
        numbers = range(first, first + JOBS)
        with self.own.connect() as client:
            ids = client.pipeline(("SUBMIT", *PATIENT, *self.command(number))
                                  for number in numbers)
        assert all(isinstance(one, bytes) for one in ids), ids[0]
        self.jobs.update(zip(numbers, ids))
        until = time.monotonic() + self.chance.uniform(0.0, 0.3)
        while time.monotonic() < until:
            self.disturb(self.chance)
            time.sleep(self.chance.uniform(0.0, 0.03))
        self.own.kill()
        self.own.start()

    def run(self, tested=lambda: True):
        """All rounds, and more of them where a slow machine came to nothing that disturbs."""
        for turn in range(ROUNDS):
            self.round(turn * JOBS)
        for turn in range(ROUNDS, ROUNDS + MORE_ROUNDS):
            if tested():
                break
            self.round(turn * JOBS)

    def states(self):
        """Waits for all jobs and counts their states."""
        counts = {}
        with self.own.connect(timeout_s=150) as client:
            ids = list(self.jobs.values())
            for begin in range(0, len(ids), 500):
                some = ids[begin:begin + 500]
                client.call("GATHER", *some)
                for job in client.pipeline(("JOB", one) for one in some):
                    state = wire.text(wire.as_map(job)["state"])
                    counts[state] = counts.get(state, 0) + 1
        return counts


def once(name, kind, **keys):
    return daemon_module.target(name, kind, delivery="exactly-once", **keys)


CLEANED = {"receipt_keep": "500ms"}


def terminate_sessions(postgres, chance):
    try:
        postgres.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "
                       "application_name LIKE 'awaitd/%%' AND random() < %s", chance.random())
    except psycopg2.Error:
        pass


@LONG
def test_postgres_under_kills_terminated_sessions_and_cut_connections(make_daemon, postgres):
    table = f"once_{SEED}"
    postgres.query(f"CREATE TABLE {table} (n int)")
    between = proxy.Proxy(postgres.port, SEED)
    uri = postgres.uri_at(between.port)
    own = make_daemon(once("main", "postgres", uri=uri, **CLEANED)).start()
    chaos = Chaos(own, lambda number: ("main", f"INSERT INTO {table} VALUES ($1)", str(number)),
                  lambda chance: terminate_sessions(postgres, chance))
    between.cutting = True
    try:
        chaos.run(lambda: between.cuts > 0)
        between.cutting = False
        assert chaos.states() == {"done": len(chaos.jobs)}
        rows = [number for number, in postgres.query(f"SELECT n FROM {table} ORDER BY n")]
        assert rows == sorted(chaos.jobs)
        assert between.cuts > 0, "nothing was cut: the test tested nothing"
        process.wait_until(lambda: receipts_of(postgres, chaos.jobs) == 0, 120,
                           "the receipts of finished jobs to be deleted")
    finally:
        between.close()
    own.stop()


def receipts_of(postgres, jobs):
    return postgres.value("SELECT count(*) FROM awaitd.receipt WHERE job_id = ANY(%s)",
                          [int(job) for job in jobs.values()])


def test_postgres_receipts_stay_while_a_job_can_be_retried(make_daemon, postgres, table):
    """Its effect is there, but its result was too large: dead, and RETRY must not repeat it."""
    own = make_daemon(once("main", "postgres", uri=postgres.uri, **CLEANED),
                      settings="result_size_max = 1K").start()
    with own.connect() as client:
        dead = client.call("SUBMIT", "main", f"INSERT INTO {table} (v) VALUES "
                           "(repeat('x', 4000)) RETURNING v")
        done = client.call("SUBMIT", "main", f"INSERT INTO {table} (v) VALUES ('done')")
        answer = client.call("AWAIT", dead, "TIMEOUT", "30000")
        assert isinstance(answer, wire.Error) and "RESULTTOOBIG" in str(answer)
        assert client.call("AWAIT", done, "TIMEOUT", "30000") == "INSERT 0 1"
        effects = postgres.value(f"SELECT count(*) FROM {table}")
        own.kill()
        own.start()
    process.wait_until(lambda: receipts_of(postgres, {1: done}) == 0, 60, "the receipt to go")
    with own.connect() as client:
        assert receipts_of(postgres, {1: dead}) == effects - 1
        assert client.call("RETRY", dead) == 1
        client.call("AWAIT", dead, "TIMEOUT", "30000")
        assert postgres.value(f"SELECT count(*) FROM {table}") == 2
        assert wire.as_map(client.call("JOB", dead))["state"] in (b"done", b"dead")
    own.stop()


def test_postgres_target_init(make_daemon, postgres):
    """Whoever may makes the table; whoever may not is told what to run, and goes on after it."""
    postgres.query("CREATE DATABASE init")
    postgres.query(f"CREATE ROLE modest LOGIN PASSWORD '{postgres.password}'")
    uri = postgres.uri_at(postgres.port, "modest", "init")
    own = make_daemon(once("main", "postgres", uri=uri),
                      daemon_module.target("plain", "postgres", uri=postgres.uri)).start()
    with own.connect() as client:
        answer = client.call("TARGET", "INIT", "main")
        assert answer.word == "ERR" and "GRANT INSERT, SELECT, DELETE" in answer, answer
        sql = client.call("TARGET", "INIT", "main", "sql").decode()
        with psycopg2.connect(postgres.uri_at(postgres.port, database="init")) as administrator:
            with administrator.cursor() as cursor:
                cursor.execute(sql.replace("<role>", "modest"))
        administrator.close()
        assert client.call("TARGET", "INIT", "main") == "OK"
        job = client.call("SUBMIT", "main", "SELECT 1 AS a")
        assert client.call("AWAIT", job, "TIMEOUT", "60000") == [[b"a"], [b"1"]]
        assert "needs nothing" in client.call("TARGET", "INIT", "plain")
        assert client.call("TARGET", "INIT", "nosuch").word == "NOTARGET"
        assert client.call("TARGET", "INIT", "main", "x").word == "ERR"
        assert client.call("TARGET", "PAUSE", "main", "x").word == "ERR"
    own.stop()


def test_postgres_answer_lost_after_the_commit(make_daemon, postgres, table):
    """The proxy swallows what the server says once the job is committed."""
    between = proxy.Proxy(postgres.port, SEED)
    uri = postgres.uri_at(between.port)
    own = make_daemon(once("main", "postgres", uri=uri, connections=1)).start()
    with own.connect() as client:
        job = client.call("SUBMIT", "main", "SELECT 1")
        client.call("AWAIT", job, "TIMEOUT", "30000")
        between.swallow = b"INSERT 0 1\0Z"  # the statement's tag, then the end of its transaction
        job = client.call("SUBMIT", "main", f"INSERT INTO {table} (v) VALUES ('lost')")
        process.wait_until(lambda: between.swallowed >= 1, 30, "the answer to be swallowed")
        assert postgres.value(f"SELECT count(*) FROM {table}") == 1
        assert client.call("AWAIT", job, "TIMEOUT", "60000") == "OK"
        assert wire.as_map(client.call("JOB", job))["state"] == b"done"
    assert postgres.value(f"SELECT count(*) FROM {table}") == 1
    between.close()
    own.stop()


def test_two_daemons_with_one_node_number_do_not_share_receipts(make_daemon, postgres, table):
    own = [make_daemon(once("main", "postgres", uri=postgres.uri), settings="node = 7").start()
           for _ in range(2)]
    for number, one in enumerate(own):
        with one.connect() as client:
            job = client.call("SUBMIT", "main", f"INSERT INTO {table} (v) VALUES ($1)", str(number))
            assert client.call("AWAIT", job, "TIMEOUT", "30000") == "INSERT 0 1"
    stores = postgres.query("SELECT count(DISTINCT store) FROM awaitd.receipt")[0][0]
    assert stores >= 2


def test_postgres_refuses_what_commits_by_itself(make_daemon, postgres):
    own = make_daemon(once("main", "postgres", uri=postgres.uri)).start()
    with own.connect() as client:
        refused = client.call("SUBMIT", "main", "CALL p()")
        assert isinstance(refused, wire.Error)
        assert "CALL is refused on an exactly-once target" in str(refused)


def disturb_redis(server, client, chance):
    """Kills connections, and now and then the server, which writes each command before it says
    so."""
    if chance.random() < 0.1:
        server.stop()
        server.start()
        server.restarts += 1
    try:
        for one in client.client_list():
            if one["name"].startswith("awaitd") and chance.random() < 0.5:
                client.client_kill(one["addr"])
    except redis.exceptions.RedisError:
        pass


@pytest.fixture
def durable_redis():
    server = redis_server_module.RedisServer("--appendonly", "yes", "--appendfsync", "always")
    server.restarts = 0
    yield server
    server.close()


@LONG
def test_redis_counters_under_kills_restarts_and_cut_connections(make_daemon, durable_redis):
    between = proxy.Proxy(durable_redis.port, SEED)
    own = make_daemon(once("cache", "redis", uri=durable_redis.uri_at(between.port))).start()
    client = durable_redis.client()
    chaos = Chaos(own, lambda number: ("cache", "INCR", f"n{number % 7}"),
                  lambda chance: disturb_redis(durable_redis, client, chance))
    between.cutting = True
    try:
        chaos.run(lambda: between.cuts > 0 and durable_redis.restarts > 0)
        between.cutting = False
        assert chaos.states() == {"done": len(chaos.jobs)}
        counted = [int(client.get(f"n{index}")) for index in range(7)]
        assert counted == [sum(number % 7 == index for number in chaos.jobs) for index in range(7)]
        assert between.cuts > 0, "nothing was cut: the test tested nothing"
        assert durable_redis.restarts > 0, "Redis was never killed: the test tested nothing"
        print(f"{len(chaos.jobs)} jobs, {between.cuts} cuts, {durable_redis.restarts} kills")
    finally:
        between.close()
    own.stop()


@LONG
def test_sqlite_rows_under_kills(make_daemon):
    own = make_daemon(once("local", "sqlite", path="local.db", **CLEANED)).start()
    with own.connect() as client:
        client.call("RUN", "local", "CREATE TABLE t(n INTEGER)")
    chaos = Chaos(own, lambda number: ("local", "INSERT INTO t VALUES (?)", str(number)),
                  lambda chance: None)
    chaos.run()
    assert chaos.states() == {"done": len(chaos.jobs)}
    with own.connect() as client:
        rows = client.call("RUN", "local", "SELECT n FROM t ORDER BY n")[1:]
        assert [int(row[0]) for row in rows] == sorted(chaos.jobs)
        process.wait_until(lambda: client.call("RUN", "local", "SELECT count(*) FROM "
                                               "awaitd_receipt")[1] == [b"0"], 120,
                           "the receipts of finished jobs to be deleted")
    own.stop()


def at_most(name, kind, **keys):
    return daemon_module.target(name, kind, delivery="at-most-once", **keys)


def state_of(client, job):
    return wire.text(wire.as_map(client.call("JOB", job))["state"])


def wait_for_state(client, job, state):
    process.wait_until(lambda: state_of(client, job) == state, 30, f"the job to be {state}")


def test_at_most_once_a_crash_leaves_what_ran_uncertain_and_the_rest_runs(make_daemon):
    own = make_daemon(at_most("local", "sqlite", path="local.db", connections=1)).start()
    with own.connect() as client:
        client.call("RUN", "local", "CREATE TABLE t(n INTEGER)")
        running = client.call("SUBMIT", "local", "SELECT sleep(100000)")
        wait_for_state(client, running, "running")
        waiting = client.call("SUBMIT", "local", "INSERT INTO t VALUES (1)")
        time.sleep(0.1)
    for _ in range(2):
        own.kill()
        own.start()
        with own.connect() as client:
            answer = client.call("AWAIT", running, "TIMEOUT", "30000")
            assert isinstance(answer, wire.Error) and answer.word == "UNCERTAIN", answer
            assert "CRASHED" in str(answer)
            assert client.call("AWAIT", waiting, "TIMEOUT", "30000") == "INSERT 0 1"
            assert state_of(client, running) == "uncertain"
            assert client.call("RUN", "local", "SELECT count(*) FROM t")[1] == [b"1"]
    own.stop()


def test_at_most_once_a_stop_returns_what_ran(make_daemon):
    """The engine was told to stop and did: it is known not to have happened."""
    own = make_daemon(at_most("local", "sqlite", path="local.db"),
                      settings="stop_timeout = 100ms").start()
    with own.connect() as client:
        client.call("RUN", "local", "CREATE TABLE pause AS SELECT 3600000 AS ms")
        job = client.call("SUBMIT", "local", "SELECT sleep(ms) FROM pause")
        wait_for_state(client, job, "running")
    own.stop()
    own.change_local("UPDATE pause SET ms = 0")
    own.start()
    with own.connect() as client:
        assert not isinstance(client.call("AWAIT", job, "TIMEOUT", "30000"), wire.Error)
        assert state_of(client, job) == "done"
    own.stop()


def test_at_most_once_a_lost_answer_is_uncertain(make_daemon, redis_server, redis_client):
    between = proxy.Proxy(redis_server.port, SEED)
    own = make_daemon(at_most("cache", "redis",
                              uri=redis_server.uri_at(between.port))).start()
    with own.connect() as client:
        assert client.call("AWAIT", client.call("SUBMIT", "cache", "INCR", "n")) == 1
        between.swallow = b":2\r\n"
        job = client.call("SUBMIT", *PATIENT, "cache", "INCR", "n")
        answer = client.call("AWAIT", job, "TIMEOUT", "30000")
        assert isinstance(answer, wire.Error) and answer.word == "UNCERTAIN", answer
        assert redis_client.get("n") == b"2"
        between.swallow = None
        assert client.call("AWAIT", client.call("SUBMIT", "cache", "INCR", "n")) == 3
    between.close()
    own.stop()


def test_at_most_once_a_lost_lease_is_uncertain(make_daemon):
    own = make_daemon(at_most("mail", "worker")).start()
    with own.connect() as client:
        job = client.call("SUBMIT", "mail", "letter")
        assert len(client.call("RESERVE", "mail", "LEASE", "100", "TIMEOUT", "30000")) == 1
        answer = client.call("AWAIT", job, "TIMEOUT", "30000")
        assert isinstance(answer, wire.Error) and answer.word == "UNCERTAIN", answer
        job = client.call("SUBMIT", "mail", "letter")
        [[taken, token, *_]] = client.call("RESERVE", "mail", "TIMEOUT", "30000")
        assert taken == job
        client.call("ACK", job, token)
        assert client.call("AWAIT", job) == "OK"
    own.stop()


def test_at_most_once_a_target_that_is_down_holds_its_jobs(make_daemon):
    port = process.free_port()
    own = make_daemon(at_most("cache", "redis", uri=f"redis://127.0.0.1:{port}/0")).start()
    with own.connect() as client:
        job = client.call("SUBMIT", "cache", "INCR", "n")
        time.sleep(0.5)
        assert state_of(client, job) in ("ready", "running")
    own.kill()
    own.start()
    with own.connect() as client:
        time.sleep(0.5)
        assert state_of(client, job) in ("ready", "running")
