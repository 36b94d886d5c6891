"""test_model.py - random sequences of commands against the daemon and against queue_model.py: each
answer, and after each command the state of every job, must be what the model says.

MODEL_SEQUENCES says how many (`make test-model`: thousands), MODEL_SEED repeats one: a failure
prints its seed and the commands that led to it.
"""

import os
import random

import pytest

from harness import process, wire
from harness.daemon import Daemon
from queue_model import Model

SEQUENCES = int(os.environ.get("MODEL_SEQUENCES", "30"))
SEED = os.environ.get("MODEL_SEED")
STEPS = 60
FAR_MS = 3_600_000
QUEUES = ["default", "other"]
KEYS = ["k1", "k2"]
SERIALS = ["s1", "s2"]
GUARD_S = 60  # a hang guard, not an expectation


class Run:
    """One sequence on one daemon."""

    def __init__(self, daemon, seed):
        self.daemon = daemon
        self.random = random.Random(seed)
        self.model = Model()
        self.client = daemon.connect()
        self.story = []

    def call(self, *words):
        self.story.append(" ".join(str(word) for word in words))
        return self.client.call(*words)

    def some_id(self, states=None):
        """The id of a job, at times of one that is gone or never was."""
        if self.random.random() < 0.05:
            return self.random.choice([1, *self.model.gone])
        found = [job.id for job in self.model.jobs.values() if not states or job.state in states]
        return self.random.choice(found) if found else 1

    def some_ids(self, states=None):
        return [self.some_id(states) for _ in range(self.random.choice([1, 1, 1, 3]))]

    # --- steps -------------------------------------------------------------------------------

    def choose_options(self, after):
        chance = self.random.random
        return {
            "queue": self.random.choice(QUEUES),
            "priority": self.random.choice([1024, 1024, 1, 2]),
            "retry": self.random.choice([0, 0, 1, 3]),
            "key": self.random.choice(KEYS) if chance() < 0.15 else None,
            "serial": self.random.choice(SERIALS) if chance() < 0.3 else None,
            "after": after if chance() < 0.35 else [],
            "onfail": self.random.choice(["cancel", "run"]),
            "keep": 0 if chance() < 0.2 else FAR_MS,
            "delayed": chance() < 0.2,
            "expires": chance() < 0.05,
        }

    @staticmethod
    def words_of(options, after):
        words = ["SUBMIT", "QUEUE", options["queue"], "PRIORITY", options["priority"], "RETRY",
                 options["retry"], "BACKOFF", FAR_MS, FAR_MS, "KEEP", options["keep"]]
        for name in ("key", "serial"):
            if options[name]:
                words += [name.upper(), options[name]]
        if after:
            words += ["AFTER", *after, "ONFAIL", options["onfail"]]
        if options["delayed"]:
            words += ["DELAY", FAR_MS]
        if options["expires"]:
            words += ["EXPIRE", 1]
        return [*words, "mail", "message"]

    def accept(self, reply, options):
        """What SUBMIT has answered, told to the model."""
        holder = self.model.key_holder(options["key"])
        missing = self.model.refused_parent(options["after"])
        if holder is not None and not isinstance(reply, wire.Error):
            assert int(reply) == holder.id, "the key's holder answers"
            return
        if missing is not None:
            assert isinstance(reply, wire.Error) and reply.word == "NOJOB", reply
            return
        assert not isinstance(reply, wire.Error), reply
        assert int(reply) > max(self.model.jobs, default=0), "ids grow"
        self.model.submitted(int(reply), **options)

    def submit(self):
        options = self.choose_options([self.some_id() for _ in range(self.random.choice([1, 2]))])
        if self.model.key_holder(options["key"]):
            options["after"] = []  # which of two reasons is told first is nobody's business
        self.accept(self.call(*self.words_of(options, options["after"])), options)

    def submit_several(self):
        assert self.call("MULTI") == "OK"
        parts = []
        for number in range(self.random.choice([1, 2, 5])):
            options = self.choose_options([])
            options["key"] = None
            options["expires"] = False  # those behind it would be too late for the model
            before = [f"${self.random.randint(1, number)}"] if number else []
            after = before if self.random.random() < 0.5 else []
            assert self.call(*self.words_of(options, after)) == "QUEUED"
            parts.append((options, after))
        if self.random.random() < 0.15:
            assert self.call("DISCARD") == "OK"
            return
        ids = self.call("EXEC")
        assert len(ids) == len(parts), ids
        for (options, after), reply in zip(parts, ids):
            options["after"] = [int(ids[int(word[1:]) - 1]) for word in after]
            self.accept(reply, options)

    def reserve(self):
        ready = self.model.heads()
        count = self.random.choice([1, 1, 2, 10])
        given = self.call("RESERVE", "mail", "COUNT", count, "LEASE", FAR_MS, "TIMEOUT",
                          GUARD_S * 1000 if ready else 0) or []
        assert not isinstance(given, wire.Error), given
        assert bool(given) == bool(ready) and len(given) <= count, f"{given} of {ready}"
        for number, token, attempt, argument in given:
            wrong = self.model.reserved(int(number), token, int(attempt))
            assert wrong is None, wrong
            assert argument == b"message"

    def running(self):
        found = [job for job in self.model.jobs.values() if job.state == "running"]
        return self.random.choice(found) if found else None

    def ack(self):
        job = self.running()
        if job is None:
            return
        if self.random.random() < 0.1:
            assert self.call("ACK", job.id, "77").word == "BADTOKEN"
        assert self.call("ACK", job.id, job.token, "fine") == "OK"
        self.model.ack(job)

    def nack(self):
        job = self.running()
        if job is None:
            return
        at_once = self.random.random() < 0.5
        words = ["DELAY", 0] if at_once else []
        assert self.call("NACK", job.id, job.token, *words, "ERROR", "no") == "OK"
        self.model.nack(job, at_once)

    def cancel(self):
        ids = self.some_ids(self.random.choice([None, ("running",)]))
        held = self.leases(ids)
        assert self.call("CANCEL", *ids) == self.model.cancel(ids)
        self.notice(held)

    def leases(self, ids):
        return [(job.id, job.token) for job in self.model.jobs.values()
                if job.id in ids and job.state == "running"]

    def notice(self, leases):
        """The workers of jobs that were cancelled are told so."""
        for number, token in leases:
            word = "CANCELLED" if number in self.model.jobs else "NOJOB"
            for words in (("EXTEND", number, token, FAR_MS), ("ACK", number, token)):
                reply = self.call(*words)
                assert isinstance(reply, wire.Error) and reply.word in (word, "NOJOB"), reply

    def delete(self):
        ids = self.some_ids()
        assert self.call("DELETE", *ids) in self.model.delete(ids)

    def promote(self):
        ids = self.some_ids(("scheduled", "ready", "blocked"))
        assert self.call("PROMOTE", *ids) == self.model.promote(ids)

    def retry(self):
        ids = self.some_ids(("dead", "cancelled", "done", "ready"))
        assert self.call("RETRY", *ids) == self.model.retry(ids)

    def purge(self):
        queue = self.random.choice(QUEUES)
        assert self.call("QUEUE", "PURGE", queue) in self.model.purge(queue)

    def steer_where(self):
        """The bulk forms: few jobs, so that all that pass are changed at once."""
        name, states = self.random.choice([
            ("CANCEL", ("scheduled", "blocked", "ready", "running")),
            ("RETRY", ("dead", "cancelled")), ("PROMOTE", ("scheduled",)),
            ("DELETE", ("scheduled", "blocked", "ready", "done", "dead", "cancelled"))])
        queue = self.random.choice([None, *QUEUES])
        states = [self.random.choice(states)]
        ids = self.model.matching(queue, states)
        held = self.leases(ids) if name == "CANCEL" else []
        changed = self.call(name, "WHERE", "STATE", states[0], *(["QUEUE", queue] if queue else []))
        expected = getattr(self.model, name.lower())(ids)
        assert changed in expected if name == "DELETE" else changed == expected, changed
        self.notice(held)

    def pause(self):
        queue = self.random.choice(QUEUES)
        if queue in self.model.paused:
            assert self.call("QUEUE", "RESUME", queue) == "OK"
            self.model.paused.discard(queue)
        else:
            assert self.call("QUEUE", "PAUSE", queue) == "OK"
            self.model.paused.add(queue)

    def pause_target(self):
        paused = self.model.target_paused
        assert self.call("TARGET", "RESUME" if paused else "PAUSE", "mail") == "OK"
        self.model.target_paused = not paused

    def restart(self):
        kill = self.random.random() < 0.5
        self.story.append("(kill -9)" if kill else "(stop)")
        self.client.close()
        if kill:
            self.daemon.kill()
        else:
            self.daemon.stop()
        self.daemon.start()
        self.client = self.daemon.connect()
        self.model.restarted()

    STEPS = [(submit, 30), (submit_several, 6), (reserve, 18), (ack, 14), (nack, 10), (cancel, 5),
             (delete, 4), (promote, 5), (retry, 6), (purge, 1), (steer_where, 4), (pause, 2),
             (pause_target, 1),
             (restart, 1)]

    # --- comparing ---------------------------------------------------------------------------

    def states(self):
        found = {}
        cursor = "0"
        while True:
            cursor, page = self.client.call("JOBS", "LIMIT", 1000, "CURSOR", cursor)
            for job in map(wire.as_map, page):
                found[int(job["id"])] = wire.text(job["state"])
            if int(cursor) == 0:
                return found

    def compare(self):
        """What becomes ready by the clock, or by the end of many others, does so a moment later."""
        expected = {job.id: job.state for job in self.model.jobs.values()}
        found = self.states()
        if found != expected:
            process.wait_until(lambda: self.states() == expected, GUARD_S,
                               "the daemon to agree with the model")

    def differences(self):
        expected = {job.id: job.state for job in self.model.jobs.values()}
        found = self.states()
        return [f"job {job}: the model says {expected.get(job)}, the daemon {found.get(job)}"
                for job in sorted({*found, *expected}) if found.get(job) != expected.get(job)]

    def go(self):
        steps, weights = zip(*self.STEPS)
        for _ in range(STEPS):
            self.random.choices(steps, weights)[0](self)
            self.compare()
        self.compare_counts()

    def compare_counts(self):
        expected = self.model.counts()
        for queue in map(wire.as_map, self.client.call("QUEUES")):
            name = wire.text(queue["queue"])
            for state in ("scheduled", "blocked", "ready", "running", "done", "dead", "cancelled"):
                assert queue[state] == expected.get((name, state), 0), f"{name} {state}"

    def clean(self):
        """An empty daemon for the next sequence."""
        if self.model.target_paused:
            self.pause_target()
        for queue in list(self.model.paused):
            self.client.call("QUEUE", "RESUME", queue)
        for job in [job for job in self.model.jobs.values() if job.state == "running"]:
            self.ack()
        ids = list(self.model.jobs)
        if ids:
            assert self.client.call("DELETE", *ids) == len(ids)
        self.client.close()


@pytest.fixture(scope="module")
def daemon():
    found = Daemon("[target mail]\ntype = worker\n", settings="stop_timeout = 50ms").start()
    yield found
    found.close()


def one(daemon, seed):
    run = Run(daemon, seed)
    try:
        run.go()
    except (AssertionError, wire.Closed, OSError) as error:
        try:
            differences = "\n".join(run.differences())
        except (AssertionError, wire.Closed, OSError) as broken:
            differences = str(broken)
        story = "\n".join(run.story)
        pytest.fail(f"MODEL_SEED={seed}: {error!r}\n{differences}\n--- commands\n{story}")
    while any(job.state == "running" for job in run.model.jobs.values()):
        run.ack()
    run.clean()


@pytest.mark.limit(7200)
def test_the_daemon_does_what_the_model_does(daemon):
    if SEED is not None:
        one(daemon, int(SEED))
        return
    base = random.SystemRandom().randrange(1 << 31)
    for number in range(SEQUENCES):
        one(daemon, base + number)
