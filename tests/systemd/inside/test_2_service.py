"""test_2_service.py - the daemon under systemd: start, activation, reload, watchdog, failures."""

import signal

import box
import wire


def test_started_means_it_answers():
    for _ in range(3):
        box.run("systemctl", "restart", "awaitd")
        assert box.unit("SubState") == "running" and box.unit("StatusText") == "serving"
        with open("/proc/net/unix", encoding="ascii") as sockets:
            assert box.SOCKET in sockets.read()
        assert box.call("PING") == "PONG"


def test_the_first_connection_starts_the_daemon():
    box.run("systemctl", "stop", "awaitd.service")
    assert not box.is_active() and box.is_active("awaitd.socket")
    assert box.run("awaitctl", "ping") == "PONG"
    assert box.is_active()


def test_reload_of_a_good_file():
    pid, cursor = box.main_pid(), box.journal_cursor()
    path = box.configure("reloaded", "[queue narrow]\nlength_max = 1\n")
    box.run("systemctl", "reload", "awaitd")
    box.wait_for_line(cursor, "has been read")
    box.wait_until(lambda: box.unit("ActiveState") == "active", "the end of the reload")
    assert box.main_pid() == pid and box.unit("StatusText") == "serving"
    submit = ("SUBMIT", "QUEUE", "narrow", "DELAY", 3600000, "local", "SELECT 1")
    first = box.call(*submit)
    assert isinstance(first, bytes)
    refused = box.call(*submit)
    assert isinstance(refused, wire.Error) and refused.word == "FULL", "the new limit is in force"
    box.call("CANCEL", first)
    path.unlink()


def test_reload_of_a_wrong_file_changes_nothing():
    pid, cursor = box.main_pid(), box.journal_cursor()
    path = box.configure("wrong", "[queue narrow]\nlenght_max = 1\n")
    box.run("systemctl", "reload", "awaitd")
    line = box.wait_for_line(cursor, "the configuration in use stays")[0]
    assert "wrong.conf:2" in line["MESSAGE"] and line["PRIORITY"] == "3"
    box.wait_until(lambda: box.unit("ActiveState") == "active", "the end of the reload")
    assert box.main_pid() == pid and box.call("PING") == "PONG"
    path.unlink()


def test_a_wrong_file_at_the_start_is_not_tried_for_ever():
    cursor = box.journal_cursor()
    path = box.configure("wrong", "[target local]\ntype = sqllite\n")
    assert box.attempt("systemctl", "restart", "awaitd").returncode != 0
    assert box.unit("ExecMainStatus") == "78"
    assert box.unit("ActiveState") == "failed", "no restart is under way"
    assert "wrong.conf:2" in box.journal_text(cursor)
    path.unlink()
    box.run("systemctl", "start", "awaitd")
    assert box.call("PING") == "PONG"


def test_waiting_clients_do_not_start_a_wrong_configuration_without_end():
    path = box.configure("wrong", "[target local]\ntype = sqllite\n")
    box.run("systemctl", "stop", "awaitd.service")
    client = wire.Wire(box.SOCKET)
    box.wait_until(lambda: box.unit("ActiveState", "awaitd.socket") == "failed",
                   "the socket to give up")
    client.close()
    path.unlink()
    box.run("systemctl", "start", "awaitd")
    assert box.is_active("awaitd.socket") and box.call("PING") == "PONG", "one command repairs it"


def test_the_watchdog_ends_a_stopped_daemon():
    limit = box.drop_in("watchdog", "WatchdogSec=3s")
    box.run("systemctl", "restart", "awaitd")
    job = box.call("SUBMIT", "DELAY", 3600000, "local", "SELECT 1")
    cursor, restarts = box.journal_cursor(), int(box.unit("NRestarts"))
    pid = box.send_signal(signal.SIGSTOP)
    box.wait_for_line(cursor, "Watchdog timeout")
    box.wait_until(lambda: box.main_pid() not in (0, pid) and box.is_active(), "a new daemon")
    assert int(box.unit("NRestarts")) > restarts
    assert box.call("PING") == "PONG"
    assert isinstance(box.call("JOB", job), (dict, list)), "and the job is still there"
    box.remove(limit)
    box.run("systemctl", "restart", "awaitd")


def test_a_live_daemon_feeds_the_watchdog():
    limit = box.drop_in("watchdog", "WatchdogSec=2s")
    box.run("systemctl", "restart", "awaitd")
    pid = box.main_pid()
    assert box.run("awaitctl", "run", "local", "SELECT sleep(7000)") is not None
    assert box.main_pid() == pid, "a long job is no reason to be killed"
    box.remove(limit)
    box.run("systemctl", "restart", "awaitd")


def test_a_drain_longer_than_the_units_timeout_is_waited_for():
    limit = box.drop_in("stop", "TimeoutStopSec=2s")
    box.run("systemctl", "restart", "awaitd")
    job = box.call("SUBMIT", "local", "SELECT sleep(6000)")
    box.wait_until(lambda: "running" in str(box.call("JOB", job)), "the job to run")
    box.run("systemctl", "stop", "awaitd.service")
    assert box.unit("Result") == "success", "systemd waited for stop_timeout"
    box.run("systemctl", "start", "awaitd")
    assert "done" in str(box.call("JOB", job))
    box.remove(limit)
    box.run("systemctl", "restart", "awaitd")


def test_killed_it_comes_back_more_often_than_systemd_usually_allows():
    for _ in range(7):
        pid = box.send_signal(signal.SIGKILL)
        box.wait_until(lambda dead=pid: box.main_pid() not in (0, dead), "a new daemon")
        assert box.call("PING") == "PONG"


def test_several_daemons_on_one_host():
    path = box.SNIPPETS.parent / "second.conf"
    path.write_text("[daemon]\nstate = /var/lib/awaitd/second\nnode = 2\n"
                    "[socket main]\npath = /run/awaitd/second.sock\n"
                    "[target local]\ntype = sqlite\npath = local.db\n", encoding="utf-8")
    box.run("chgrp", "awaitd", path)
    box.run("systemctl", "start", "awaitd@second.socket")
    assert not box.is_active("awaitd@second.service")
    assert box.call("PING", path="/run/awaitd/second.sock") == "PONG"
    assert box.is_active("awaitd@second.service") and box.is_active()
    assert box.main_pid("awaitd@second.service") != box.main_pid()
    reply = box.call("RUN", "local", "CREATE TABLE only_here (x)", path="/run/awaitd/second.sock")
    assert not isinstance(reply, wire.Error), reply
    missing = box.call("RUN", "local", "SELECT * FROM only_here")
    assert isinstance(missing, wire.Error)
    box.run("systemctl", "stop", "awaitd@second.socket", "awaitd@second.service")
    assert box.call("PING") == "PONG"
    path.unlink()
