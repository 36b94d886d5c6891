"""test_lifecycle.py - SIGTERM, restart, kill -9, and what becomes of jobs and results."""

import signal

from harness import daemon as daemon_module
from harness import http_server, process, wire


def test_stop_is_clean_when_idle(local):
    local.stop()
    assert not local.socket.exists(), "the socket's file goes with the daemon"


def test_sigint_stops_too(local):
    local.process.send_signal(signal.SIGINT)
    assert local.process.wait(30) == 0


def test_sigterm_lets_what_runs_finish_and_answers_it(make_daemon):
    server = http_server.HttpServer()
    try:
        one = make_daemon(daemon_module.target("hook", "http", uri=server.uri),
                          settings="stop_timeout = 10m").start()
        with one.connect() as client:
            job = client.call("SUBMIT", "hook", "GET", "/gate/a")
            client.send("AWAIT", job)
            process.wait_until(lambda: server.seen("/gate/a"), 60, "the job to run")
            one.process.send_signal(signal.SIGTERM)
            process.wait_until(lambda: "stopping" in one.output(), 60, "the daemon to stop")
            assert one.process.running, "it waits for the job"
            server.gate.set()
            assert client.read()[2] == b"open"
        assert one.process.wait(daemon_module.STOP_S) == 0
        one.check_log()
        assert len(server.seen("/gate/a")) == 1
    finally:
        server.close()


def test_sigterm_returns_what_takes_too_long(make_daemon):
    local = make_daemon(settings="stop_timeout = 500ms").start()
    with local.connect() as client:
        job = client.call("SUBMIT", "local", "SELECT sleep(3600000)")
        process.wait_until(lambda: wire.text(wire.as_map(client.call("JOB", job))["state"])
                           == "running", 10, "the job to run")
    local.restart()
    with local.connect() as client:
        fields = wire.as_map(client.call("JOB", job))
        assert wire.text(fields["state"]) in ("ready", "running")
        assert client.call("CANCEL", job) == 1


def test_jobs_and_results_survive_a_restart(local):
    with local.connect() as client:
        done = client.call("SUBMIT", "local", "SELECT 42 AS n")
        assert client.call("AWAIT", done) == [[b"n"], [b"42"]]
        dead = client.call("SUBMIT", "local", "SELEC")
        why = client.call("AWAIT", dead)
        later = client.call("SUBMIT", "DELAY", "3600000", "local", "SELECT 43 AS n")
        cancelled = client.call("SUBMIT", "DELAY", "3600000", "local", "SELECT 1")
        client.call("CANCEL", cancelled)
    local.restart()
    with local.connect() as client:
        assert client.call("AWAIT", done) == [[b"n"], [b"42"]]
        assert client.call("AWAIT", dead) == why
        assert client.call("PROMOTE", later) == 1
        assert client.call("AWAIT", later) == [[b"n"], [b"43"]]
        assert client.call("AWAIT", cancelled).word == "CANCELLED"


def test_ids_grow_over_restarts_and_kills(local):
    seen = []
    for ending in (local.stop, local.kill, local.stop):
        with local.connect() as client:
            seen += [int(client.call("SUBMIT", "DELAY", "3600000", "local", "SELECT 1"))
                     for _ in range(10)]
        ending()
        local.start()
    assert seen == sorted(set(seen))


def test_kill_while_a_job_runs_and_it_runs_again(local):
    with local.connect() as client:
        client.call("RUN", "local", "CREATE TABLE t(v)")
        client.call("RUN", "local", "CREATE TABLE pause AS SELECT 3600000 AS ms")
        job = client.call("SUBMIT", "local", "INSERT INTO t SELECT sleep(ms) FROM pause")
        process.wait_until(lambda: wire.text(wire.as_map(client.call("JOB", job))["state"])
                           == "running", 10, "the job to run")
    local.kill()
    local.change_local("UPDATE pause SET ms = 0")
    local.start()
    with local.connect() as client:
        assert client.call("AWAIT", job) == "INSERT 0 1"
        assert client.call("RUN", "local", "SELECT count(*) FROM t")[1] == [b"1"]


def test_kill_right_after_the_answer_loses_nothing(local):
    for _ in range(5):
        with local.connect() as client:
            jobs = client.pipeline(("SUBMIT", "DELAY", "3600000", "local", "SELECT 1")
                                   for _ in range(100))
            local.kill()
        local.start()
        with local.connect() as client:
            states = [wire.as_map(client.call("JOB", job))["state"] for job in jobs]
        assert [wire.text(state) for state in states] == ["scheduled"] * 100


def test_stale_socket_file_is_replaced(local):
    local.kill()
    assert local.socket.exists()
    local.start()


def test_twenty_quick_restarts(local):
    for _ in range(20):
        local.restart()
