"""stage.py - what a case plays on: a daemon, clients of one RESP version, and a worker target and
names of its own, so that cases share a daemon without meeting."""

import re

from harness import daemon as daemon_module
from harness import process, wire

HOUR = "3600000"
WORKERS = 256
LENDERS = 8
SETTINGS = "stop_timeout = 200ms\n"
TARGETS = (daemon_module.LOCAL
           + "".join(daemon_module.target(f"w{number}", "worker") for number in range(WORKERS))
           + "".join(daemon_module.target(f"lent{number}", "sqlite", path=f"lent{number}.db",
                                          connections=6, leases=3) for number in range(LENDERS)))


def start():
    return daemon_module.Daemon(TARGETS, settings=SETTINGS).start()


class Stage:
    """`number` is the case's own; `end` is how the daemon ends in the middle: "stop" or "kill"."""

    def __init__(self, daemon, protocol, row, number, end=None):
        self.daemon = daemon
        self.protocol = protocol
        self.row = row
        self.end = end
        self.name = f"c{number}-{re.sub('[^a-z]', '-', row.lower())}-{protocol}"
        self.worker = f"w{number % WORKERS}"
        self.lender = f"lent{number % LENDERS}"
        self.connections = []
        self.client = self.connect()

    def connect(self):
        client = self.daemon.connect()
        self.connections.append(client)
        if self.protocol == 3:
            assert isinstance(client.call("HELLO", "3"), dict)
        return client

    def reconnect(self):
        """After the daemon has been started again; the old connections can still be read."""
        self.client = self.connect()

    def close(self):
        for client in self.connections:
            client.close()
        self.connections.clear()

    # --- what cases say --------------------------------------------------------------------------

    def call(self, *words):
        """Of what must succeed."""
        reply = self.client.call(*words)
        assert not isinstance(reply, wire.Error), (words, reply)
        return reply

    def map(self, reply):
        """A map: of its own type in RESP3, a flat array in RESP2."""
        assert isinstance(reply, dict) == (self.protocol == 3), reply
        return {key: wire.text(value) for key, value in wire.as_map(reply).items()}

    def submit(self, *words):
        """Onto the case's worker target, in the case's queue."""
        return self.call("SUBMIT", "QUEUE", self.name, *words, self.worker, self.name)

    def job(self, job):
        return self.map(self.call("JOB", job))

    def state(self, job):
        return self.job(job)["state"]

    def reserve(self, *words):
        """[id, token, attempt, argument ...] of the next job of the case's target."""
        jobs = self.call("RESERVE", self.worker, *words)
        assert len(jobs) == 1, jobs
        return jobs[0]

    def gone(self, job):
        reply = self.client.call("JOB", job)
        return isinstance(reply, wire.Error) and reply.word == "NOJOB"

    def done(self, result="fine", *words):
        return self.done_after(self.submit(*words), result)

    def done_after(self, job, result="fine"):
        """Works through the case's jobs up to that one."""
        leased, token, *_ = self.reserve()
        assert leased == job
        assert self.call("ACK", job, token, result) == "OK"
        return job

    def dead(self, reason="broken", *words):
        job = self.submit("RETRY", "0", *words)
        leased, token, *_ = self.reserve()
        assert leased == job
        assert self.call("NACK", job, token, "ERROR", reason) == "OK"
        assert self.client.call("AWAIT", job).startswith("FAILED ")
        return job

    def running(self, *words):
        """A job that a worker holds, and its token."""
        job = self.submit(*words)
        leased, token, *_ = self.reserve()
        assert leased == job
        return job, token

    def jobs(self, *words):
        """The ids of one page of JOBS."""
        _, page = self.call("JOBS", *words)
        return [self.map(one)["id"].encode() for one in page]

    def refused(self, words, message):
        """The words get an error that reads like `message`, in which " ... " is anything."""
        reply = self.client.call(*words)
        assert isinstance(reply, wire.Error), (words, reply)
        place = 0
        for number, part in enumerate(message.split(" ... ")):
            found = reply.find(part, place)
            assert found == 0 or (number > 0 and found > 0), (words, reply, message)
            place = found + len(part)
        assert reply.word == message.split(" ", 1)[0], (words, reply)
        assert "\r" not in reply and "\n" not in reply

    def wait_until(self, condition, what):
        process.wait_until(condition, 60, what)

    def waiting(self, count=1):
        """Until so many clients besides the one that asks wait."""
        self.wait_until(lambda: int(self.daemon.info()["blocked_clients"]) > count,
                        f"{count} to wait")


def cut_off(client):
    """What a client that waited gets at the end of the daemon: an error, or nothing at all."""
    try:
        reply = client.read()
    except (wire.Closed, ConnectionResetError):
        return None
    return reply
