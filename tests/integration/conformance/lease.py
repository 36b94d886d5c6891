"""lease.py - ENTER and EXIT."""

import itertools

from conformance.table import restart, use, wrong
from harness import wire


@use("ENTER")
def run_goes_to_the_clients_own_connection(stage):
    assert stage.call("ENTER", stage.lender) == "OK"
    stage.call("RUN", stage.lender, "CREATE TABLE IF NOT EXISTS entered(v)")
    stage.call("RUN", stage.lender, "BEGIN")
    stage.call("RUN", stage.lender, "INSERT INTO entered VALUES (1)")
    other = stage.connect()
    assert other.call("RUN", stage.lender, "SELECT count(*) FROM entered")[1] == [b"0"]
    stage.call("RUN", stage.lender, "COMMIT")
    assert other.call("RUN", stage.lender, "SELECT count(*) FROM entered")[1] == [b"1"]
    stage.refused(["ENTER", stage.lender], "ERR this client has a lease on lent")
    assert stage.call("EXIT") == "OK"


@restart("ENTER")
def what_is_open_is_rolled_back(stage):
    stage.call("RUN", stage.lender, "CREATE TABLE held(v)")
    stage.call("ENTER", stage.lender)
    stage.call("RUN", stage.lender, "BEGIN")
    stage.call("RUN", stage.lender, "INSERT INTO held VALUES (1)")
    yield
    assert stage.call("RUN", stage.lender, "SELECT count(*) FROM held")[1] == [b"0"]
    stage.refused(["EXIT"], "ERR this client has no lease")
    assert stage.call("ENTER", stage.lender) == "OK"


wrong("ENTER",
      ("ENTER", "ERR wrong number of arguments for 'enter' command"),
      ("ENTER nosuch", "NOTARGET no target 'nosuch'"),
      ("ENTER WORKER", "ERR target w"))
wrong("ENTER TIMEOUT",
      ("ENTER LOCAL TIMEOUT 0", "ERR after the target ENTER takes TIMEOUT and milliseconds"),
      ("ENTER LOCAL TIMEOUT x", "ERR after the target ENTER takes TIMEOUT and milliseconds"),
      ("ENTER LOCAL TIMEOUT", "ERR "),
      ("ENTER LOCAL LEASE 5", "ERR after the target ENTER takes TIMEOUT"))


def over(stage):
    reply = stage.client.call("RUN", stage.lender, "SELECT 1")
    return isinstance(reply, wire.Error) and reply.word == "TIMEOUT"


@use("ENTER TIMEOUT")
def the_deadline_of_the_lease(stage):
    assert stage.call("ENTER", stage.lender, "TIMEOUT", "30000") == "OK"
    assert stage.call("RUN", stage.lender, "SELECT 1 AS a") == [[b"a"], [b"1"]]
    assert stage.call("EXIT", stage.lender) == "OK"
    # It also bounds the wait for a connection, which may take a moment.
    times_ms = itertools.chain((1, 10, 100), itertools.repeat(1000))
    stage.wait_until(lambda: stage.client.call("ENTER", stage.lender, "TIMEOUT", next(times_ms))
                     == "OK", "a lease")
    stage.wait_until(lambda: over(stage), "the deadline")


@use("EXIT")
def what_is_open_is_rolled_back_at_exit(stage):
    stage.call("RUN", stage.lender, "CREATE TABLE left_open(v)")
    stage.call("ENTER", stage.lender)
    stage.call("RUN", stage.lender, "BEGIN")
    stage.call("RUN", stage.lender, "INSERT INTO left_open VALUES (1)")
    assert stage.call("EXIT") in ("OK", "ROLLBACK")
    assert stage.call("RUN", stage.lender, "SELECT count(*) FROM left_open")[1] == [b"0"]


@restart("EXIT")
def what_was_committed_stays(stage):
    stage.call("RUN", stage.lender, "CREATE TABLE committed(v)")
    stage.call("ENTER", stage.lender)
    for sql in ("BEGIN", "INSERT INTO committed VALUES (1)", "COMMIT"):
        stage.call("RUN", stage.lender, sql)
    stage.call("EXIT")
    yield
    assert stage.call("RUN", stage.lender, "SELECT count(*) FROM committed")[1] == [b"1"]


wrong("EXIT",
      ("EXIT", "ERR this client has no lease"),
      ("EXIT LOCAL", "ERR this client has no lease on local"),
      ("EXIT LOCAL x", "ERR wrong number of arguments for 'exit' command"))
