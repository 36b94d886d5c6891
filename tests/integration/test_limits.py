"""test_limits.py - every stated limit refuses clearly, at the limit, and frees again."""

import time

from harness import process, wire


def test_one_argument(make_daemon):
    local = make_daemon(settings="argument_size_max = 100K").start()
    with local.connect() as client:
        assert client.call("ECHO", "x" * 102400) == b"x" * 102400
        client.send_raw(b"*2\r\n$4\r\nECHO\r\n$102401\r\n")
        assert client.read().startswith("ERR Protocol error: ")
        assert client.at_end()
    assert local.answers()


def test_one_command(make_daemon):
    local = make_daemon(settings="request_size_max = 1M\nargument_size_max = 1M").start()
    with local.connect() as client:
        big = ["x" * 300000] * 4
        try:
            client.send("PING", *big)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused before all of it was taken
        assert client.read().word == "ERR"
    assert local.answers()


def served(local):
    """A connection that is served, once a place is free: an end is noticed a moment after it."""
    def attempt():
        client = local.connect()
        try:
            if client.call("PING") == "PONG":
                return client
        except (wire.Closed, BrokenPipeError, ConnectionResetError):
            pass
        client.close()
        return None

    return process.wait_until(attempt, 10, "a free place")


def test_clients(make_daemon):
    local = make_daemon(settings="clients_max = 5").start()
    clients = [served(local) for _ in range(5)]
    with local.connect() as surplus:
        try:
            surplus.send("PING")
            reply = surplus.read()
            assert isinstance(reply, wire.Error), reply
        except (wire.Closed, BrokenPipeError, ConnectionResetError):
            pass  # closed without a word would do as well
    for client in clients:
        assert client.call("PING") == "PONG"
        client.close()
    process.wait_until(local.answers, 10, "places to be free again")


def test_result(make_daemon):
    local = make_daemon(settings="result_size_max = 10K").start()
    with local.connect() as client:
        assert len(client.call("RUN", "local", "SELECT hex(zeroblob(4000)) AS h")[1][0]) == 8000
        job = client.call("SUBMIT", "local", "SELECT hex(zeroblob(6000)) AS h")
        assert client.call("AWAIT", job).startswith("FAILED RESULTTOOBIG ")
        assert wire.text(wire.as_map(client.call("JOB", job))["state"]) == "dead"


def test_concurrency_of_a_queue(make_daemon):
    """Two at once: ten sleeps of 0.1 s take half a second at least. (A listing is no snapshot.)"""
    local = make_daemon(extra="[queue narrow]\nconcurrency = 2\n").start()
    with local.connect() as client:
        begin = time.monotonic()
        jobs = client.pipeline(("SUBMIT", "QUEUE", "narrow", "local", "SELECT sleep(100)")
                               for _ in range(10))
        assert not any(isinstance(reply, wire.Error) for reply in client.call("GATHER", *jobs))
        assert time.monotonic() - begin >= 0.49


def test_backlog_larger_than_the_memory_for_it(make_daemon):
    """With 1 MiB for ready jobs 20 MB of them are taken, and all are done."""
    local = make_daemon(settings="memory_max = 1M").start()
    with local.connect() as client:
        client.call("RUN", "local", "CREATE TABLE t(v)")
        jobs = client.pipeline(("SUBMIT", "local", "INSERT INTO t VALUES (length(?))", "x" * 10000)
                               for _ in range(2000))
        assert not any(isinstance(job, wire.Error) for job in jobs), jobs[-1]
        for begin in range(0, 2000, 500):
            assert client.call("GATHER", *jobs[begin:begin + 500]) == ["INSERT 0 1"] * 500
        assert client.call("RUN", "local", "SELECT count(*), sum(v) FROM t")[1] == \
            [b"2000", b"20000000"]
