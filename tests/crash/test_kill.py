"""test_kill.py - SIGKILL at a random moment while 10,000 jobs arrive: what was promised is done.

CRASH_ROUNDS says how often (`make test-crash`: 20), CRASH_SEED repeats a run's choices (the moment
within the kernel's scheduling is not repeatable, the plan is).
"""

import os
import random
import socket
import threading
import time

import pytest

from harness import daemon as daemon_module
from harness import wire

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "3"))
SEED = int(os.environ.get("CRASH_SEED", str(random.SystemRandom().randrange(1 << 32))))
JOBS = 2000 if daemon_module.sanitized() else 10000
CLIENTS = 4
DEPTH = 64  # submissions in flight on a connection
SLICE = 500  # ids in one GATHER


class Submitter(threading.Thread):
    """One client that submits its share of the jobs and notes which were acknowledged."""

    def __init__(self, own, commands):
        super().__init__(daemon=True)
        self.path = own.socket
        self.commands = commands
        self.acknowledged = {}  # number -> id
        self.surprise = None

    def run(self):
        try:
            with wire.Wire(self.path) as client:
                self.submit(client)
        except (OSError, wire.Closed):
            pass  # the daemon was killed: what was not answered is not promised
        except Exception as problem:  # handed to the test, which fails with it
            self.surprise = problem

    def submit(self, client):
        waiting = []
        for number, command in self.commands:
            client.send(*command)
            waiting.append(number)
            if len(waiting) == DEPTH:
                self.take(client, waiting)
        while waiting:
            self.take(client, waiting)

    def take(self, client, waiting):
        reply = client.read()
        assert isinstance(reply, bytes), f"SUBMIT answered {reply!r}"
        self.acknowledged[waiting.pop(0)] = reply


def command_for(number, tables):
    """Jobs of all three kinds, each leaving its number behind."""
    kind = number % 3
    if kind == 0:
        return ("SUBMIT", "local", "INSERT INTO seen VALUES (?)", str(number))
    if kind == 1:
        return ("SUBMIT", "main", f"INSERT INTO {tables} VALUES ($1)", str(number))
    return ("SUBMIT", "cache", "SADD", tables, str(number))


@pytest.fixture
def crashing(make_daemon, postgres, redis_server):
    one = make_daemon(daemon_module.target("main", "postgres", uri=postgres.uri)
                      + daemon_module.target("cache", "redis", uri=redis_server.uri)
                      + daemon_module.LOCAL).start()
    with one.connect() as client:
        made = client.call("RUN", "local", "CREATE TABLE seen(n INTEGER)")
        assert not isinstance(made, wire.Error), made
    return one


def submit_until_killed(own, first, name, chance):
    """One round: 10,000 jobs from a few clients, and SIGKILL somewhere within."""
    submitters = []
    for index in range(CLIENTS):
        numbers = range(first + index, first + JOBS, CLIENTS)
        commands = [(number, command_for(number, name)) for number in numbers]
        submitters.append(Submitter(own, commands))
    # After so many answers, however fast the machine; one time in five after the last of them,
    # while the jobs run. The extra milliseconds spread it over the parts of a commit.
    answers = chance.randrange(JOBS + JOBS // 4)
    extra_s = chance.uniform(0.0, 0.02 if answers < JOBS else 0.5)
    for submitter in submitters:
        submitter.start()
    while (sum(len(submitter.acknowledged) for submitter in submitters) < answers
           and any(submitter.is_alive() for submitter in submitters)):
        time.sleep(0.001)
    time.sleep(extra_s)
    own.kill()
    for submitter in submitters:
        submitter.join(60)
        assert not submitter.is_alive()
        assert submitter.surprise is None, submitter.surprise
    acknowledged = {}
    for submitter in submitters:
        acknowledged.update(submitter.acknowledged)
    return acknowledged


def results_of(own, ids):
    with own.connect(timeout_s=200) as client:
        results = []
        for begin in range(0, len(ids), SLICE):
            results += client.call("GATHER", *ids[begin:begin + SLICE])
        return results


def effects(own, postgres, redis_client, name):
    with own.connect() as client:
        rows = client.call("RUN", "local", "SELECT DISTINCT n FROM seen")[1:]
    found = {int(row[0]) for row in rows}
    found |= {number for number, in postgres.query(f"SELECT DISTINCT n FROM {name}")}
    found |= {int(member) for member in redis_client.smembers(name)}
    return found


@pytest.mark.limit(300 + 60 * ROUNDS)
def test_kill_under_load_loses_no_acknowledged_job(crashing, postgres, redis_client):
    chance = random.Random(SEED)
    name = f"crash_{SEED}"
    postgres.query(f"CREATE TABLE {name} (n int)")
    every = {}
    for turn in range(ROUNDS):
        label = f"seed {SEED}, round {turn + 1}"
        acknowledged = submit_until_killed(crashing, turn * JOBS, name, chance)
        crashing.start()
        every.update(acknowledged)
        numbers = sorted(acknowledged)
        results = results_of(crashing, [acknowledged[number] for number in numbers])
        failed = [(number, result) for number, result in zip(numbers, results)
                  if isinstance(result, wire.Error)]
        assert not failed, f"{label}: {len(failed)} of {len(numbers)}, the first: {failed[:3]}"
        lost = set(numbers) - effects(crashing, postgres, redis_client, name)
        assert not lost, f"{label}: {len(lost)} acknowledged jobs did nothing: {sorted(lost)[:5]}"
        print(f"{label}: {len(numbers)} of {JOBS} acknowledged, all done")
    assert len(every) > 0, "no round acknowledged anything: the test tested nothing"
    lost = set(every) - effects(crashing, postgres, redis_client, name)
    assert not lost
    crashing.stop()


@pytest.mark.limit(120)
def test_kill_during_recovery_loses_nothing(crashing):
    """Killed again and again before it could answer: the state is as good as after one kill."""
    with crashing.connect() as client:
        jobs = client.pipeline(("SUBMIT", "DELAY", "3600000", "local", "SELECT 1")
                               for _ in range(500))
    crashing.kill()
    chance = random.Random(SEED)
    for _ in range(10):
        crashing.launch()
        time.sleep(chance.uniform(0.0, 0.05))
        crashing.kill()
    crashing.start()
    with crashing.connect() as client:
        states = [wire.text(wire.as_map(client.call("JOB", job))["state"]) for job in jobs]
    assert states == ["scheduled"] * 500


def test_torn_client_leaves_whole_jobs_only(crashing):
    """Half a frame at the moment of the kill is no job."""
    with crashing.connect() as client:
        job = client.call("SUBMIT", "DELAY", "3600000", "local", "SELECT 1")
        client.send_raw(wire.encode("SUBMIT", "DELAY", "3600000", "local", "SELECT 2")[:-9])
        client.socket.shutdown(socket.SHUT_WR)
        crashing.kill()
    crashing.start()
    with crashing.connect() as client:
        _, jobs = client.call("JOBS", "STATE", "scheduled")
        assert [wire.text(wire.as_map(one)["id"]) for one in jobs] == [wire.text(job)]
