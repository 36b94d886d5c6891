"""run.py - RUN with its options, and MULTI, EXEC, DISCARD."""

import json

from conformance.stage import HOUR, cut_off
from conformance.table import restart, use, wrong
from harness import wire


@use("RUN")
def it_answers_with_the_result_and_stores_nothing(stage):
    before = stage.daemon.info()["total_submitted"]
    assert stage.call("RUN", "local", "SELECT 1 AS one") == [[b"one"], [b"1"]]
    assert stage.daemon.info()["total_submitted"] == before
    stage.refused(["RUN", "local", "SELEC 1"], "FAILED ")


@restart("RUN")
def it_is_cut_off_and_not_repeated(stage):
    name = f"run{stage.protocol}"
    stage.call("RUN", "local", f"CREATE TABLE {name}(v)")
    other = stage.connect()
    other.send("RUN", "local", f"INSERT INTO {name} VALUES (sleep({HOUR}))")
    stage.waiting()
    yield
    reply = cut_off(other)
    assert reply is None or (isinstance(reply, wire.Error) and reply.word == "UNAVAILABLE"), reply
    assert stage.call("RUN", "local", f"SELECT count(*) FROM {name}")[1] == [b"0"]


wrong("RUN",
      ("RUN", "ERR wrong number of arguments for 'run' command"),
      ("RUN nosuch x", "NOTARGET no target 'nosuch'"),
      ("RUN LOCAL", "ERR target local"),
      ("RUN WORKER x", "ERR target "),
      ("RUN QUEUE q LOCAL x", "ERR RUN takes no option QUEUE; it takes TIMEOUT, FORMAT and NULL"),
      ("RUN LOCAL SELEC", "FAILED "))


@use("RUN TIMEOUT")
def it_ends_what_runs(stage):
    stage.refused(["RUN", "TIMEOUT", "30", "local", f"SELECT sleep({HOUR})"],
                  "TIMEOUT ran longer than 30 ms")
    assert stage.call("RUN", "TIMEOUT", HOUR, "local", "SELECT 1 AS a") == [[b"a"], [b"1"]]


wrong("RUN TIMEOUT",
      ("RUN TIMEOUT x LOCAL SELECT", "ERR TIMEOUT needs milliseconds from 0 to ... 'x'"),
      ("RUN TIMEOUT 5 TIMEOUT 5 LOCAL SELECT", "ERR TIMEOUT is given twice"))


@use("RUN FORMAT")
def json_or_rows(stage):
    select = "SELECT 1.5 AS f"
    assert json.loads(stage.call("RUN", "FORMAT", "json", "local", select)) == [{"f": 1.5}]
    assert stage.call("RUN", "FORMAT", "rows", "local", select) == [[b"f"], [b"1.5"]]


@use("RUN NULL")
def it_is_sql_null(stage):
    assert stage.call("RUN", "NULL", "2", "local", "SELECT ? AS a", "") == [[b"a"], [None]]


@use("MULTI")
def it_queues(stage):
    assert stage.call("MULTI") == "OK"
    assert stage.call("SUBMIT", stage.worker, "x") == "QUEUED"
    assert stage.call("RESET") == "RESET"
    assert stage.call("RESERVE", stage.worker, "TIMEOUT", "0") == []


@restart("MULTI")
def what_was_not_executed_is_gone(stage):
    stage.call("MULTI")
    assert stage.submit() == "QUEUED"
    yield
    assert stage.jobs("QUEUE", stage.name) == []
    stage.refused(["EXEC"], "ERR EXEC without MULTI")


wrong("MULTI", ("MULTI x", "ERR wrong number of arguments for 'multi' command"))


@use("MULTI")
def wrong_words_inside_abort_it(stage):
    for words, message in ((["MULTI"], "ERR MULTI calls can not be nested"),
                           (["JOBS"], "ERR JOBS is not possible inside MULTI"),
                           (["SUBMIT", "nosuch", "x"], "NOTARGET no target 'nosuch'"),
                           (["SUBMIT", "AFTER", "$2", stage.worker, "x"],
                            "ERR AFTER $2 would be a cycle: job 2 of this MULTI")):
        stage.call("MULTI")
        assert stage.submit() == "QUEUED"
        stage.refused(words, message)
        stage.refused(["EXEC"], "EXECABORT Transaction discarded")
    assert stage.jobs("QUEUE", stage.name) == []


@use("EXEC")
def all_ids_in_order(stage):
    stage.call("MULTI")
    for _ in range(3):
        assert stage.submit() == "QUEUED"
    assert stage.submit("AFTER", "$1", "$3") == "QUEUED"
    ids = stage.call("EXEC")
    assert ids == sorted(ids) and len(set(ids)) == 4
    assert [stage.state(one) for one in ids] == ["ready"] * 3 + ["blocked"]
    stage.call("MULTI")
    assert stage.call("EXEC") == []


@use("EXEC")
def none_when_the_store_refuses_one(stage):
    stage.call("MULTI")
    stage.submit()
    stage.submit("AFTER", "77")
    stage.refused(["EXEC"], "NOJOB job 2 of the MULTI: ... 77")
    assert stage.jobs("QUEUE", stage.name) == []


@restart("EXEC")
def what_was_answered_is_there(stage):
    stage.call("MULTI")
    stage.submit()
    stage.submit("AFTER", "$1")
    ids = stage.call("EXEC")
    yield
    assert [stage.state(one) for one in ids] == ["ready", "blocked"]


wrong("EXEC", ("EXEC", "ERR EXEC without MULTI"),
      ("EXEC x", "ERR wrong number of arguments for 'exec' command"))


@use("DISCARD")
def nothing_is_stored(stage):
    stage.call("MULTI")
    stage.submit()
    assert stage.call("DISCARD") == "OK"
    assert stage.jobs("QUEUE", stage.name) == []


@restart("DISCARD")
def nothing_comes_back(stage):
    stage.call("MULTI")
    stage.submit()
    stage.call("DISCARD")
    kept = stage.submit()
    yield
    assert stage.jobs("QUEUE", stage.name) == [kept]


wrong("DISCARD", ("DISCARD", "ERR DISCARD without MULTI"))
