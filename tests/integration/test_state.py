"""test_state.py - a state folder that is taken, locked, corrupt or full: a clear answer,
nothing lost."""

import contextlib
import os
import sqlite3
import subprocess

import pytest

from harness import daemon as daemon_module
from harness import process, wire


def test_second_daemon_on_the_same_state_is_refused(local, make_daemon):
    with local.connect() as client:
        job = client.call("SUBMIT", "DELAY", "3600000", "local", "SELECT 1")
    second = make_daemon(state=local.state)
    _, said = second.refuses_to_start()
    assert str(local.state) in said
    with local.connect() as client:
        assert wire.text(wire.as_map(client.call("JOB", job))["state"]) == "scheduled"


def test_second_daemon_on_the_same_socket_is_refused(local, make_daemon):
    second = make_daemon()
    second.configure(second.configuration.read_text(encoding="utf-8").replace(
        str(second.socket), str(local.socket)))
    _, said = second.refuses_to_start()
    assert str(local.socket) in said
    assert local.answers()


def queue_file(daemon):
    path = daemon.state / "queue.db"
    assert path.exists()
    return path


def test_queue_with_a_broken_header_is_refused_and_left_alone(local):
    with local.connect() as client:
        client.call("SUBMIT", "DELAY", "3600000", "local", "SELECT 1")
    local.stop()
    path = queue_file(local)
    content = path.read_bytes()
    broken = b"this is no database".ljust(100, b"!") + content[100:]
    path.write_bytes(broken)
    _, said = local.refuses_to_start()
    assert str(path) in said
    assert path.read_bytes() == broken
    path.write_bytes(content)
    local.start()


def test_queue_with_broken_pages_is_refused_after_a_crash(local):
    with local.connect() as client:
        client.pipeline(("SUBMIT", "DELAY", "3600000", "local", "SELECT " + "1" * 500)
                        for _ in range(500))
    local.restart()  # all of it is in the database file now, not only in the WAL
    local.kill()
    path = queue_file(local)
    content = bytearray(path.read_bytes())
    for offset in range(4096, len(content), 4096):
        content[offset:offset + 64] = b"\xa5" * 64
    path.write_bytes(content)
    _, said = local.refuses_to_start()
    assert str(path) in said


def test_queue_of_another_program_is_refused(make_daemon):
    own = make_daemon()
    path = own.state / "queue.db"
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE jobs(something_else)")
    database.execute("PRAGMA user_version = 999")
    database.commit()
    database.close()
    _, said = own.refuses_to_start()
    assert str(path) in said


def test_queue_of_a_newer_awaitd_is_refused_and_left_alone(local):
    with local.connect() as client:
        job = client.call("SUBMIT", "DELAY", "3600000", "local", "SELECT 1")
    local.stop()

    def schema_version(number):
        with contextlib.closing(sqlite3.connect(queue_file(local))) as database:
            before, = database.execute("PRAGMA user_version").fetchone()
            database.execute(f"PRAGMA user_version = {number}")
            return before

    ours = schema_version(1000)
    _, said = local.refuses_to_start()
    assert str(queue_file(local)) in said and "schema version 1000" in said
    assert "newer awaitd" in said, "the remedy"
    assert schema_version(ours) == 1000, "it was left alone"
    local.start()
    with local.connect() as client:
        assert wire.text(wire.as_map(client.call("JOB", job))["state"]) == "scheduled"


def test_locked_queue_is_refused(local):
    local.stop()
    database = sqlite3.connect(queue_file(local), isolation_level=None)
    try:
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        database.execute("BEGIN EXCLUSIVE")
        _, said = local.refuses_to_start()
        assert "queue.db" in said and "lock" in said.lower()
    finally:
        database.close()
    local.start()


def test_absent_state_folder(make_daemon):
    own = make_daemon()
    own.state.rmdir()
    own.launch()
    process.wait_until(lambda: not own.process.running or own.socket.exists(), 20,
                       "a start or a refusal")
    if own.process.running:
        own.stop()
        assert (own.state / "queue.db").exists()
    else:
        assert own.process.child.returncode > 0
        assert str(own.state) in own.output()


def test_state_folder_in_a_folder_that_is_not_there(make_daemon):
    own = make_daemon()
    own.configure(own.configuration.read_text(encoding="utf-8").replace(
        str(own.state), str(own.state / "missing" / "state")))
    _, said = own.refuses_to_start()
    assert str(own.state / "missing" / "state") in said and "create it" in said


def test_socket_in_a_folder_that_is_not_there(make_daemon):
    own = make_daemon()
    path = own.folder / "missing" / "awaitd.sock"
    own.configure(own.configuration.read_text(encoding="utf-8").replace(
        str(own.socket), str(path)))
    _, said = own.refuses_to_start()
    assert str(path) in said and "No such file or directory" in said


def test_state_that_is_a_file(make_daemon):
    own = make_daemon()
    own.state.rmdir()
    own.state.write_text("in the way", encoding="utf-8")
    _, said = own.refuses_to_start()
    assert str(own.state) in said


@contextlib.contextmanager
def small_disk(folder, size):
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def almost_full(make_daemon, tmp_path):
    """almost_full(size, reserve): a daemon whose queue is on a small disk, the rest elsewhere."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    with contextlib.ExitStack() as disks:

        def make(size, reserve):
            state = disks.enter_context(small_disk(tmp_path / "disk", size))
            own = make_daemon(state=state, settings=f"disk_free_min = {reserve}",
                              targets=daemon_module.target("local", "sqlite",
                                                           path=tmp_path / "local.db"))
            disks.callback(own.kill)
            return own.start()

        yield make


def grow(state):
    subprocess.run(["mount", "-o", "remount,size=256m", str(state)], check=True)


def takes_jobs_again(own):
    with own.connect() as client:
        process.wait_until(lambda: not isinstance(
            client.call("SUBMIT", "DELAY", "3600000", "local", "SELECT 1"), wire.Error), 20,
            "submissions to be taken again")


def test_full_disk_refuses_submissions(almost_full):
    own = almost_full("128m", "64M")
    accepted, refused = fill(own)
    assert refused.word == "FULL", refused
    assert len(accepted) > 10
    assert own.answers(), "the daemon lives"
    check_all_stored(own, accepted)
    own.restart()
    check_all_stored(own, accepted)
    grow(own.state)
    takes_jobs_again(own)
    own.stop()


def test_disk_without_a_reserve_loses_nothing_either(almost_full):
    """When the kernel itself says that the disk is full, a failed write is an unknown outcome: the
    daemon may end, not lie. Either way what it acknowledged is there when it runs again."""
    own = almost_full("24m", "0")
    try:
        accepted, _ = fill(own)
    except (wire.Closed, ConnectionError) as ended:
        accepted = ended.accepted
    if own.process.running:
        assert own.answers()
        own.kill()
    else:
        assert own.process.child.returncode > 0, own.output()
    own.launch()
    process.wait_until(lambda: not own.process.running or own.socket.exists(), 20,
                       "a start or a refusal")
    if own.process.running:
        own.kill()
    else:
        assert "full" in own.output() and str(own.state) in own.output().rsplit("error:", 1)[-1]
    grow(own.state)
    own.start()
    check_all_stored(own, accepted)
    takes_jobs_again(own)
    own.stop()


def fill(own):
    """Submits 100 kB jobs until one is refused: the ids taken, and the refusal."""
    accepted = []
    with own.connect() as client:
        for _ in range(1000):
            try:
                reply = client.call("SUBMIT", "DELAY", "3600000", "local", "SELECT ?", "x" * 100000)
            except (wire.Closed, ConnectionError) as ended:
                ended.accepted = accepted
                raise
            if isinstance(reply, wire.Error):
                return accepted, reply
            accepted.append(reply)
    raise AssertionError("the disk never filled up")


def check_all_stored(own, accepted):
    with own.connect() as client:
        for job in accepted:
            assert wire.text(wire.as_map(client.call("JOB", job))["state"]) == "scheduled"
