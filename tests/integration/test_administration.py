"""test_administration.py - BACKUP, RELOAD (and SIGHUP), SHUTDOWN."""

import os
import shutil
import signal
import sqlite3
import threading

from harness import process, wire

SETTINGS = "[target local]\ntype = sqlite\npath = local.db\n"


def submit_until(daemon, stop, ids):
    with daemon.connect() as client:
        while not stop.is_set():
            ids.append(client.call("SUBMIT", "local", "SELECT 1 AS one"))


def test_backup_while_jobs_go_on_holds_all_that_was_acknowledged_before(make_daemon):
    daemon = make_daemon().start()
    copy = daemon.folder / "copy.db"
    stop = threading.Event()
    ids = []
    load = threading.Thread(target=submit_until, args=(daemon, stop, ids))
    load.start()
    process.wait_until(lambda: len(ids) > 200, 60, "some jobs")
    before = list(ids)
    with daemon.connect() as client:
        assert client.call("BACKUP", copy) == "OK"
    stop.set()
    load.join()
    assert not list(daemon.folder.glob("copy.db?*")), "nothing is left beside it"
    with sqlite3.connect(copy) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        stored = {row[0] for row in database.execute("SELECT id FROM job")}
    assert {int(job) for job in before} <= stored
    # The daemon stores on after the backup, and a restored copy is a queue like any other.
    daemon.restart()
    with daemon.connect() as client:
        assert client.call("AWAIT", ids[-1]) == [[b"one"], [b"1"]]
    daemon.stop()
    shutil.copy(copy, daemon.state / "queue.db")
    daemon.start()
    with daemon.connect() as client:
        assert client.call("AWAIT", before[-1]) == [[b"one"], [b"1"]]
        assert client.call("AWAIT", client.call("SUBMIT", "local", "SELECT 2 AS two")) == \
            [[b"two"], [b"2"]]


def test_backup_beside_the_log_of_the_queue_it_replaces_is_refused(make_daemon):
    """SQLite would put the pages of that queue.db-wal over those of the backup."""
    daemon = make_daemon().start()
    copy = daemon.folder / "copy.db"
    with daemon.connect() as client:
        kept = client.call("SUBMIT", "DELAY", "3600000", "local", "SELECT 1")
        assert client.call("BACKUP", copy) == "OK"
        lost = client.call("SUBMIT", "DELAY", "3600000", "local", "SELECT 2")
    daemon.kill()
    queue, log = daemon.state / "queue.db", daemon.state / "queue.db-wal"
    assert log.stat().st_size > 0
    shutil.copy(copy, queue)
    before = log.read_bytes()
    _, said = daemon.refuses_to_start()
    assert f"{queue} is a backup" in said and "queue.db-wal" in said and "move that away" in said
    assert queue.read_bytes() == copy.read_bytes() and log.read_bytes() == before, "left alone"
    log.unlink()
    for _ in range(2):  # an ordinary queue from its first start on, also after a crash
        daemon.start()
        with daemon.connect() as client:
            assert wire.text(wire.as_map(client.call("JOB", kept))["state"]) == "scheduled"
            assert "NOJOB" in str(client.call("JOB", lost))
            client.call("SUBMIT", "DELAY", "3600000", "local", "SELECT 3")
        daemon.kill()
        assert log.stat().st_size > 0


def test_backup_of_an_idle_and_of_a_fresh_queue(make_daemon):
    daemon = make_daemon().start()
    with daemon.connect() as client:
        assert client.call("BACKUP", daemon.folder / "empty.db") == "OK"
        job = client.call("SUBMIT", "DELAY", "3600000", "local", "SELECT 1")
        assert client.call("BACKUP", daemon.folder / "one.db") == "OK"
    with sqlite3.connect(daemon.folder / "empty.db") as database:
        assert database.execute("SELECT count(*) FROM job").fetchone() == (0,)
    with sqlite3.connect(daemon.folder / "one.db") as database:
        assert database.execute("SELECT id FROM job").fetchall() == [(int(job),)]


def test_backup_refuses_what_it_cannot_do(make_daemon):
    daemon = make_daemon().start()
    existing = daemon.folder / "existing"
    existing.write_text("precious", encoding="ascii")
    with daemon.connect() as client:
        assert "must be absolute" in client.call("BACKUP", "copy.db")
        assert "exists" in client.call("BACKUP", existing)
        assert "No such file" in client.call("BACKUP", daemon.folder / "nowhere" / "copy.db")
        assert "no path" in client.call("BACKUP", b"/tmp/a\x00b")
        assert client.call("BACKUP", daemon.folder / "copy.db") == "OK", "a failure is forgotten"
    assert existing.read_text(encoding="ascii") == "precious"


def configure(daemon, settings="", rest=""):
    daemon.configure(f"[daemon]\nstate = {daemon.state}\n{settings}\n[socket main]\n"
                     f"path = {daemon.socket}\nmode = 0660\nallow = all\n{SETTINGS}{rest}")


def field(client, job, name):
    return wire.text(wire.as_map(client.call("JOB", job))[name])


def test_reload_takes_new_limits_of_queues_at_once(make_daemon):
    daemon = make_daemon().start()
    configure(daemon, rest="[queue narrow]\nconcurrency = 1\nretry = 7\n")
    with daemon.connect() as client:
        assert client.call("RELOAD") == "OK"
        job = client.call("SUBMIT", "QUEUE", "narrow", "DELAY", "3600000", "local", "SELECT 1")
        assert wire.as_map(client.call("JOB", job))["retry"] == 7
        first = client.call("SUBMIT", "QUEUE", "narrow", "local", "SELECT sleep(600000)")
        second = client.call("SUBMIT", "QUEUE", "narrow", "local", "SELECT 2 AS two")
        process.wait_until(lambda: field(client, first, "state") == "running", 30, "the first")
        assert field(client, second, "state") == "ready"
        configure(daemon, rest="[queue narrow]\nconcurrency = 2\n")
        assert client.call("RELOAD") == "OK"
        assert client.call("AWAIT", second) == [[b"two"], [b"2"]]
        assert client.call("CANCEL", first) == 1


def test_reload_of_a_wrong_file_changes_nothing(make_daemon):
    daemon = make_daemon().start()
    configure(daemon, rest="[queue narrow]\nretry = 7\n")
    with daemon.connect() as client:
        assert client.call("RELOAD") == "OK"
        configure(daemon, settings="stop_timeout = 1s", rest="[queue narrow]\nretry = many\n")
        refused = client.call("RELOAD")
        assert isinstance(refused, wire.Error)
        assert "awaitd.conf:" in refused and "retry" in refused
        job = client.call("SUBMIT", "QUEUE", "narrow", "DELAY", "3600000", "local", "SELECT 1")
        assert wire.as_map(client.call("JOB", job))["retry"] == 7
    assert "the configuration in use stays" in daemon.output()


def test_reload_says_what_needs_a_restart(make_daemon):
    daemon = make_daemon().start()
    configure(daemon, settings="node = 5", rest="[target more]\ntype = worker\n")
    with daemon.connect() as client:
        assert client.call("RELOAD") == "OK, but this needs a restart: node, [target more]"
        assert client.call("SUBMIT", "more", "x").word == "NOTARGET"
        assert client.call("RUN", "local", "SELECT 1 AS one") == [[b"one"], [b"1"]]
    daemon.restart()
    with daemon.connect() as client:
        assert client.call("RELOAD") == "OK"
        assert client.call("SUBMIT", "more", "x").isdigit()


def test_sighup_reloads(make_daemon):
    daemon = make_daemon().start()
    configure(daemon, rest="[queue narrow]\nretry = 9\n")
    daemon.process.send_signal(signal.SIGHUP)
    process.wait_until(lambda: "reload: " in daemon.output(), 30, "the reload to be logged")
    with daemon.connect() as client:
        job = client.call("SUBMIT", "QUEUE", "narrow", "DELAY", "3600000", "local", "SELECT 1")
        assert wire.as_map(client.call("JOB", job))["retry"] == 9


def test_shutdown_returns_what_runs_and_drain_lets_it_finish(make_daemon):
    daemon = make_daemon().start()
    with daemon.connect() as client:
        job = client.call("SUBMIT", "local", "SELECT sleep(600000)")
        process.wait_until(lambda: field(client, job, "state") == "running", 30, "the job to run")
        assert "DRAIN" in client.call("SHUTDOWN", "NOW")
        assert "milliseconds" in client.call("SHUTDOWN", "DRAIN", "soon")
        assert client.call("SHUTDOWN") == "OK"
        assert client.at_end()
    assert daemon.process.wait(60) == 0
    daemon.start()
    with daemon.connect() as client:
        assert field(client, job, "state") in ("ready", "running")
        assert client.call("CANCEL", job) == 1
        job = client.call("SUBMIT", "local", "SELECT sleep(3000) AS s")
        process.wait_until(lambda: field(client, job, "state") == "running", 30, "the job to run")
        assert client.call("SHUTDOWN", "DRAIN", "60000") == "OK"
    assert daemon.process.wait(60) == 0
    daemon.start()
    with daemon.connect() as client:
        assert field(client, job, "state") == "done"


def test_only_an_administrator_may(make_daemon):
    daemon = make_daemon().start()
    daemon.stop()
    daemon.configure(f"[daemon]\nstate = {daemon.state}\n[socket main]\npath = {daemon.socket}\n"
                     f"allow = submit work observe\n{SETTINGS}")
    daemon.start()
    with daemon.connect() as client:
        for command in (["BACKUP", "/tmp/x.db"], ["RELOAD"], ["SHUTDOWN"]):
            assert client.call(*command).word == "NOPERM"
        assert client.call("PING") == "PONG"
    assert not os.path.exists("/tmp/x.db")
