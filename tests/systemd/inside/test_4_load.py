"""test_4_load.py - clients submit while the daemon is stopped, restarted and upgraded.

Counted: what was acknowledged, what had its effect, and how often a connection was refused."""

import threading
import time

import box
import pytest
import wire

CLIENTS = 4


class Client(threading.Thread):
    """Submits numbered jobs one after the other until told to end. A connection that is lost is
    made anew and the job, whose answer is unknown, submitted again."""

    def __init__(self, load, first):
        super().__init__()
        self.load = load
        self.number = first
        self.acknowledged = {}
        self.refused = []
        self.problems = []
        self.longest_pause_s = 0.0
        self.wire = None

    def connect(self):
        try:
            self.wire = wire.Wire(box.SOCKET)
        except OSError as error:
            self.refused.append(str(error))
            time.sleep(0.05)

    def submit(self):
        """The reply, or None when the connection ended before it."""
        if self.wire is None:
            self.connect()
        if self.wire is None:
            return None
        try:
            statement = f"INSERT OR IGNORE INTO {self.load.table} VALUES (?)"
            return self.wire.call("SUBMIT", "local", statement, self.number)
        except (wire.Closed, OSError):
            self.wire.close()
            self.wire = None
            return None

    def run(self):
        while not self.load.ending.is_set():
            begin = time.monotonic()
            reply = None
            while reply is None and not self.load.ending.is_set():
                reply = self.submit()
                # A daemon that stops says so, and takes no more: the next connection waits.
                if isinstance(reply, wire.Error) and reply.word == "UNAVAILABLE":
                    self.wire.close()
                    self.wire = reply = None
            if isinstance(reply, wire.Error):
                self.problems.append(str(reply))
            elif reply is not None:
                self.acknowledged[self.number] = reply
            self.longest_pause_s = max(self.longest_pause_s, time.monotonic() - begin)
            self.number += CLIENTS
        if self.wire is not None:
            self.wire.close()


class Load:
    def __init__(self, table):
        self.table = table
        self.ending = threading.Event()
        reply = box.call("RUN", "local", f"CREATE TABLE {table} (n INTEGER PRIMARY KEY)")
        assert not isinstance(reply, wire.Error), reply
        self.clients = [Client(self, first) for first in range(CLIENTS)]
        for client in self.clients:
            client.start()

    def count(self):
        return sum(len(client.acknowledged) for client in self.clients)

    def wait_for_more(self, jobs=200):
        wanted = self.count() + jobs
        box.wait_until(lambda: self.count() >= wanted, f"{wanted} acknowledged jobs")

    def end(self):
        self.ending.set()
        for client in self.clients:
            client.join(box.HANG_GUARD_S)
            assert not client.is_alive()

    def check(self):
        """Every job that was acknowledged is done, and its effect is there."""
        numbers, jobs = set(), []
        for client in self.clients:
            assert not client.problems, client.problems[:3]
            numbers.update(client.acknowledged)
            jobs += client.acknowledged.values()
        with wire.Wire(box.SOCKET, timeout_s=box.HANG_GUARD_S) as connection:
            for reply in connection.pipeline(("AWAIT", job) for job in jobs):
                assert not isinstance(reply, wire.Error), reply
            rows = connection.call("RUN", "local", f"SELECT n FROM {self.table}")
        effects = {int(row[0]) for row in rows[1:]}
        assert numbers <= effects, f"{len(numbers - effects)} jobs are lost"
        pause_s = max(client.longest_pause_s for client in self.clients)
        print(f"  {self.table}: {len(numbers)} jobs acknowledged, all done; "
              f"longest pause of a client {pause_s * 1000:.0f} ms")

    def check_nobody_was_refused(self):
        refused = [text for client in self.clients for text in client.refused]
        assert not refused, refused[:3]


@pytest.fixture
def load(request):
    one = Load(request.node.name.replace("test_", ""))
    yield one
    one.end()


def test_restart(load):
    for _ in range(3):
        load.wait_for_more()
        pid = box.main_pid()
        box.run("systemctl", "restart", "awaitd")
        assert box.main_pid() != pid
        assert box.unit("Result") == "success"
    load.wait_for_more()
    load.end()
    load.check()
    load.check_nobody_was_refused()


def test_upgrade(load):
    load.wait_for_more()
    pid = box.main_pid()
    before = box.unit("ActiveEnterTimestampMonotonic", "awaitd.socket")
    box.run("apt-get", "install", "-q", "-y", box.SHARED / "next" / "awaitd.deb")
    assert box.run("dpkg-query", "-W", "-f", "${Version}", "awaitd").endswith("+next")
    assert box.main_pid() not in (0, pid), "the new program runs"
    assert box.unit("ActiveEnterTimestampMonotonic", "awaitd.socket") == before
    load.wait_for_more()
    load.end()
    load.check()
    load.check_nobody_was_refused()


def test_stop(load):
    """The operator stops service and socket: it ends in order, and all is there after the start."""
    load.wait_for_more()
    box.run("systemctl", "stop", "awaitd.socket", "awaitd.service")
    assert box.unit("Result") == "success" and box.unit("ExecMainStatus") == "0"
    box.wait_until(lambda: any(client.refused for client in load.clients), "a client to notice")
    box.run("systemctl", "start", "awaitd")
    load.wait_for_more()
    load.end()
    load.check()


def test_kill(load):
    """SIGKILL of the daemon: clients reconnect to the socket, which stays."""
    load.wait_for_more()
    pid = box.main_pid()
    box.run("systemctl", "kill", "--signal=SIGKILL", "awaitd")
    box.wait_until(lambda: box.main_pid() not in (0, pid), "a new daemon")
    load.wait_for_more()
    load.end()
    load.check()
    load.check_nobody_was_refused()
