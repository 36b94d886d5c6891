"""submit.py - SUBMIT with each of its options, RUN, and MULTI."""

import json
import time

from conformance.stage import HOUR
from conformance.table import restart, use, wrong


def now_ms():
    return int(time.time() * 1000)


@use("SUBMIT")
def the_arguments_are_kept_byte_by_byte(stage):
    data = bytes(range(256))
    job = stage.call("SUBMIT", stage.worker, data, "", "text")
    leased, token, attempt, *arguments = stage.reserve()
    assert (leased, attempt, arguments) == (job, 1, [data, b"", b"text"])
    assert stage.call("ACK", job, token, data) == "OK"
    assert stage.call("AWAIT", job) == data


@restart("SUBMIT")
def a_job_that_was_answered_is_there(stage):
    job = stage.call("SUBMIT", stage.worker, b"\0bytes\r\n")
    yield
    assert stage.state(job) == "ready"
    assert stage.reserve()[0::3] == [job, b"\0bytes\r\n"]

wrong("SUBMIT",
      ("SUBMIT", "ERR wrong number of arguments for 'submit' command"),
      ("SUBMIT nosuch x", "NOTARGET no target 'nosuch'"),
      ("SUBMIT WORKER", "ERR target ... argument"),
      ("SUBMIT 9target x", "ERR SUBMIT needs an option or a target's name, but '9target' "),
      ("SUBMIT DELAY 5", "ERR SUBMIT needs a target's name"),
      ("SUBMIT DELAY 5 DELAY 6 WORKER x", "ERR DELAY is given twice"))

# One line for each option that is a field of JOB: it is there at once, and after a restart.
FIELDS = [
    ("SUBMIT QUEUE", ["QUEUE", "some.queue-1:x"], {"queue": "some.queue-1:x"}),
    ("SUBMIT PRIORITY", ["PRIORITY", "4294967295"], {"priority": 4294967295}),
    ("SUBMIT AT", ["AT", "4102444800000"], {"due": 4102444800000, "state": "scheduled"}),
    ("SUBMIT TIMEOUT", ["TIMEOUT", "77"], {"timeout": 77}),
    ("SUBMIT RETRY", ["RETRY", "1000000"], {"retry": 1000000}),
    ("SUBMIT BACKOFF", ["BACKOFF", "5", "3153600000000"],
     {"backoff_min": 5, "backoff_max": 3153600000000}),
    ("SUBMIT KEEP", ["KEEP", "0"], {"keep": 0}),
    ("SUBMIT FORMAT", ["FORMAT", "JSON"], {"format": "json"}),
    ("SUBMIT COALESCE", ["COALESCE", "1024"], {"coalesce": 1024}),
    ("SUBMIT COALESCE", ["COALESCE", "0"], {"coalesce": 1}),
    ("SUBMIT SERIAL", ["SERIAL", "a serial\0key"], {"serial": "a serial\0key"}),
]


def field_cases(row, words, expected):
    def submit(stage):
        return stage.call("SUBMIT", *words, stage.worker, "x")

    def compare(stage, job):
        fields = stage.job(job)
        assert {name: fields[name] for name in expected} == expected

    @use(row)
    def job_shows_it(stage):
        compare(stage, submit(stage))

    @restart(row)
    def job_shows_it_afterwards(stage):
        job = submit(stage)
        yield
        compare(stage, job)

for one in FIELDS:
    field_cases(*one)

wrong("SUBMIT QUEUE",
      ("SUBMIT DELAY 1 QUEUE", "ERR QUEUE needs a queue's name, got nothing"),
      ("SUBMIT QUEUE 9q WORKER x", "ERR QUEUE needs a queue's name, but '9q' "),
      ("SUBMIT QUEUE delay WORKER x", "ERR QUEUE needs a queue's name, but 'delay' "),
      (("SUBMIT", "QUEUE", "q" * 65, "WORKER", "x"), "ERR QUEUE needs a queue's name, but 'qqqq"))


@use("SUBMIT PRIORITY")
def a_smaller_one_is_sooner(stage):
    jobs = [stage.submit("PRIORITY", str(priority)) for priority in (7, 0, 4294967295, 3)]
    plain = stage.submit()
    order = [stage.reserve()[0] for _ in range(5)]
    assert order == [jobs[1], jobs[3], jobs[0], plain, jobs[2]]


@restart("SUBMIT PRIORITY")
def the_order_survives(stage):
    jobs = [stage.submit("PRIORITY", str(priority)) for priority in (7, 0, 3)]
    yield
    assert [stage.reserve()[0] for _ in range(3)] == [jobs[1], jobs[2], jobs[0]]


NUMBERS = "ERR {0} needs a number from 0 to {1}, got '{2}'"
MILLISECONDS = "ERR {0} needs milliseconds from {1} to 3153600000000, got '{2}'"

wrong("SUBMIT PRIORITY",
      ("SUBMIT PRIORITY -1 WORKER x", NUMBERS.format("PRIORITY", 4294967295, "-1")),
      ("SUBMIT PRIORITY 4294967296 WORKER x", NUMBERS.format("PRIORITY", 4294967295, "4294967296")),
      ("SUBMIT PRIORITY high WORKER x", NUMBERS.format("PRIORITY", 4294967295, "high")))


@use("SUBMIT DELAY")
def it_becomes_ready_when_its_time_comes(stage):
    before = now_ms()
    job = stage.submit("DELAY", "300")
    late = stage.submit("DELAY", HOUR)
    assert stage.reserve("TIMEOUT", "60000")[0] == job
    assert now_ms() >= before + 299
    assert stage.state(late) == "scheduled"


@restart("SUBMIT DELAY")
def its_time_stays(stage):
    late = stage.submit("DELAY", HOUR)
    due = stage.job(late)["due"]
    soon = stage.submit("DELAY", "1")
    yield
    assert (stage.state(late), stage.job(late)["due"]) == ("scheduled", due)
    assert stage.reserve("TIMEOUT", "60000")[0] == soon


wrong("SUBMIT DELAY",
      ("SUBMIT DELAY soon WORKER x", MILLISECONDS.format("DELAY", 0, "soon")),
      ("SUBMIT DELAY 1.5 WORKER x", MILLISECONDS.format("DELAY", 0, "1.5")),
      ("SUBMIT DELAY 3153600000001 WORKER x", MILLISECONDS.format("DELAY", 0, "3153600000001")),
      ("SUBMIT AT 1 DELAY 1 WORKER x", "ERR DELAY and AT exclude each other"))
wrong("SUBMIT AT",
      ("SUBMIT AT noon WORKER x", "ERR AT needs milliseconds since 1970 from 0 to ... 'noon'"),
      ("SUBMIT DELAY 1 AT 1 WORKER x", "ERR DELAY and AT exclude each other"))


@use("SUBMIT TIMEOUT")
def it_ends_one_execution(stage):
    job = stage.call("SUBMIT", "TIMEOUT", "30", "RETRY", "0", "local", f"SELECT sleep({HOUR})")
    stage.refused(["AWAIT", job], "FAILED TIMEOUT ")


wrong("SUBMIT TIMEOUT",
      ("SUBMIT TIMEOUT never WORKER x", MILLISECONDS.format("TIMEOUT", 0, "never")))


@use("SUBMIT EXPIRE")
def who_is_not_started_by_then_is_dead(stage):
    job = stage.submit("EXPIRE", "50")
    stage.refused(["AWAIT", job], "FAILED EXPIRED ")
    assert stage.state(job) == "dead"
    assert stage.call("RESERVE", stage.worker, "TIMEOUT", "0") == []


@restart("SUBMIT EXPIRE")
def it_counts_on(stage):
    late = stage.submit("EXPIRE", HOUR)
    expires_at = stage.job(late)["expires_at"]
    soon = stage.submit("EXPIRE", "1000", "DELAY", HOUR)
    yield
    stage.refused(["AWAIT", soon], "FAILED EXPIRED ")
    assert (stage.state(late), stage.job(late)["expires_at"]) == ("ready", expires_at)


wrong("SUBMIT EXPIRE",
      ("SUBMIT EXPIRE 0 WORKER x", MILLISECONDS.format("EXPIRE", 1, "0")),
      ("SUBMIT EXPIRE x WORKER x", MILLISECONDS.format("EXPIRE", 1, "x")))


@use("SUBMIT RETRY")
def so_many_attempts_after_the_first(stage):
    job = stage.submit("RETRY", "2", "BACKOFF", "1", "1")
    for attempt in (1, 2, 3):
        leased, token, number, *_ = stage.reserve("TIMEOUT", "60000")
        assert (leased, number) == (job, attempt)
        stage.call("NACK", job, token, "ERROR", f"no {attempt}")
    stage.refused(["AWAIT", job], "FAILED NACK no 3")


@restart("SUBMIT RETRY")
def spent_attempts_stay_spent(stage):
    job, token = stage.running("RETRY", "1", "BACKOFF", "1", "1")
    stage.call("NACK", job, token, "ERROR", "once")
    yield
    leased, token, attempt, *_ = stage.reserve("TIMEOUT", "60000")
    assert (leased, attempt) == (job, 2)
    stage.call("NACK", job, token, "ERROR", "twice")
    stage.refused(["AWAIT", job], "FAILED NACK twice")


wrong("SUBMIT RETRY",
      ("SUBMIT RETRY -1 WORKER x", NUMBERS.format("RETRY", 1000000, "-1")),
      ("SUBMIT RETRY 1000001 WORKER x", NUMBERS.format("RETRY", 1000000, "1000001")))


@use("SUBMIT BACKOFF")
def it_is_the_pause(stage):
    job, token = stage.running("BACKOFF", HOUR, HOUR)
    before = now_ms()
    stage.call("NACK", job, token)
    stage.wait_until(lambda: stage.state(job) == "scheduled", "the pause")
    assert stage.job(job)["due"] >= before + int(HOUR) // 2


wrong("SUBMIT BACKOFF",
      ("SUBMIT BACKOFF 0 5 WORKER x", "ERR BACKOFF needs a minimum in milliseconds from 1 ... '0'"),
      ("SUBMIT BACKOFF 9 5 WORKER x", "ERR BACKOFF needs a maximum in milliseconds from 9 ... '5'"),
      ("SUBMIT BACKOFF 5 WORKER x", "ERR BACKOFF needs a maximum in milliseconds from 5 ... 'w"))


@use("SUBMIT KEY")
def one_live_job_a_key(stage):
    key = stage.name + "\0\r\n"
    first, token = stage.running("KEY", key)
    assert stage.submit("KEY", key) == first
    assert stage.job(first)["key"] == key
    stage.call("ACK", first, token)
    assert stage.submit("KEY", key) != first


@restart("SUBMIT KEY")
def the_key_is_held_on(stage):
    live = stage.submit("KEY", stage.name)
    ended = stage.submit("KEY", stage.name + "-over")
    stage.call("CANCEL", ended)
    yield
    assert stage.submit("KEY", stage.name) == live
    assert stage.submit("KEY", stage.name + "-over") != ended


TOO_LONG = "k" * 257
for word in ("KEY", "SERIAL"):
    wrong(f"SUBMIT {word}",
          (("SUBMIT", word, "", "WORKER", "x"), f"ERR {word} needs a key of 1 to 256 bytes"),
          (("SUBMIT", word, TOO_LONG, "WORKER", "x"), f"ERR {word} needs a key of 1 to 256 bytes"))


@use("SUBMIT SERIAL")
def one_at_a_time_in_order(stage):
    jobs = [stage.submit("SERIAL", stage.name, "PRIORITY", str(9 - number)) for number in range(4)]
    for place, job in enumerate(jobs):
        assert [stage.state(one) for one in jobs[place + 1:]] == ["blocked"] * (3 - place)
        leased, token, *_ = stage.reserve("TIMEOUT", "60000")
        assert leased == job
        assert stage.call("RESERVE", stage.worker, "TIMEOUT", "0") == []
        stage.call("ACK", job, token)


@restart("SUBMIT SERIAL")
def the_line_survives(stage):
    jobs = [stage.submit("SERIAL", stage.name) for _ in range(3)]
    leased, token, *_ = stage.reserve()
    stage.call("ACK", leased, token)
    yield
    for job in jobs[1:]:
        leased, token, *_ = stage.reserve("TIMEOUT", "60000")
        assert leased == job
        stage.call("ACK", job, token)


@use("SUBMIT AFTER")
def it_starts_when_all_are_done(stage):
    first, second = stage.submit(), stage.submit()
    child = stage.submit("AFTER", first, second)
    assert (stage.state(child), stage.job(child)["blockers"]) == ("blocked", 2)
    assert stage.job(child)["after"] == [first, second]
    for _ in range(2):
        job, token, *_ = stage.reserve()
        assert job in (first, second)
        stage.call("ACK", job, token)
    assert stage.reserve("TIMEOUT", "60000")[0] == child


@restart("SUBMIT AFTER")
def the_wait_survives(stage):
    first = stage.submit()
    child = stage.submit("AFTER", first)
    yield
    assert stage.state(child) == "blocked"
    leased, token, *_ = stage.reserve()
    assert leased == first
    stage.call("ACK", first, token)
    assert stage.reserve("TIMEOUT", "60000")[0] == child


wrong("SUBMIT AFTER",
      ("SUBMIT AFTER WORKER x", "ERR AFTER needs job ids from 1 to ... 'w"),
      ("SUBMIT AFTER 0 WORKER x", "ERR AFTER needs job ids from 1 to ... '0'"),
      ("SUBMIT AFTER 77 WORKER x", "NOJOB ... 77"),
      ("SUBMIT AFTER $1 WORKER x", "ERR AFTER $1 refers to a job of a MULTI, and there is none"))


@use("SUBMIT ONFAIL")
def run_or_cancel(stage):
    dead = stage.dead()
    cancelled = stage.submit("AFTER", dead)
    runs = stage.submit("AFTER", dead, "ONFAIL", "RUN")
    stage.refused(["AWAIT", cancelled], "CANCELLED ... " + cancelled.decode())
    assert stage.job(cancelled)["error"] == f"DEPENDENCY job {dead.decode()} is dead"
    assert stage.reserve()[0] == runs


@restart("SUBMIT ONFAIL")
def it_decides_afterwards(stage):
    first = stage.submit("RETRY", "0")
    cancelled = stage.submit("AFTER", first, "ONFAIL", "cancel")
    runs = stage.submit("AFTER", first, "ONFAIL", "run")
    yield
    leased, token, *_ = stage.reserve()
    assert leased == first
    stage.call("NACK", first, token)
    stage.refused(["AWAIT", cancelled], "CANCELLED ")
    assert stage.reserve("TIMEOUT", "60000")[0] == runs


wrong("SUBMIT ONFAIL",
      ("SUBMIT ONFAIL run WORKER x", "ERR ONFAIL says what a failed job of AFTER or BIND does"),
      ("SUBMIT ONFAIL stop WORKER x", "ERR ONFAIL needs run or cancel, got 'stop'"))


@use("SUBMIT BIND")
def an_argument_out_of_a_result(stage):
    rows = stage.call("SUBMIT", "local", "SELECT 1 AS a, 'x' AS b UNION ALL SELECT 2, 'y'")
    child = stage.call("SUBMIT", "BIND", "2", rows, "1", "1", stage.worker, "kept", "", "kept too")
    leased, _, _, *arguments = stage.reserve("TIMEOUT", "60000")
    assert (leased, arguments) == (child, [b"kept", b"y", b"kept too"])


@restart("SUBMIT BIND")
def it_is_bound_afterwards(stage):
    first = stage.submit("KEEP", "0")
    child = stage.call("SUBMIT", "BIND", "1", first, "0", "0", stage.worker, "")
    yield
    leased, token, *_ = stage.reserve()
    assert leased == first
    stage.call("ACK", first, token, b"\xffvalue")
    leased, _, _, argument = stage.reserve("TIMEOUT", "60000")
    assert (leased, argument) == (child, b"\xffvalue")


wrong("SUBMIT BIND",
      ("SUBMIT BIND 0 5 0 0 WORKER x", "ERR BIND needs an argument from 1 to ... '0'"),
      ("SUBMIT BIND 1 x 0 0 WORKER x", "ERR BIND needs a job id from 1 to ... 'x'"),
      ("SUBMIT BIND 1 5 x 0 WORKER x", "ERR BIND needs a row from 0 to ... 'x'"),
      ("SUBMIT BIND 1 5 0 x WORKER x", "ERR BIND needs a column from 0 to ... 'x'"),
      ("SUBMIT BIND 2 5 0 0 WORKER x", "ERR BIND needs an argument from 1 to 1, got '2'"),
      ("SUBMIT BIND 1 5 0 0 NULL 1 WORKER x", "ERR argument 1 has more than one NULL or BIND"),
      ("SUBMIT BIND 1 77 0 0 WORKER x", "NOJOB ... 77"))


@use("SUBMIT NULL")
def it_is_sql_null(stage):
    sql = "SELECT typeof(?1) AS a, typeof(?2) AS b, typeof(?3) AS c"
    job = stage.call("SUBMIT", "NULL", "2", "NULL", "4", "local", sql, "", "", "")
    assert stage.call("AWAIT", job) == [[b"a", b"b", b"c"], [b"null", b"text", b"null"]]


@restart("SUBMIT NULL")
def it_is_null_afterwards(stage):
    job = stage.call("SUBMIT", "DELAY", HOUR, "NULL", "2", "local", "SELECT ? AS a, ? AS b", "", "")
    yield
    stage.call("PROMOTE", job)
    assert stage.call("AWAIT", job) == [[b"a", b"b"], [None, b""]]


for command in ("SUBMIT", "RUN"):
    wrong(f"{command} NULL",
          (f"{command} NULL 0 LOCAL x", "ERR NULL needs an argument from 1 to ... '0'"),
          (f"{command} NULL 3 LOCAL x y", "ERR NULL needs an argument from 1 to 2, got '3'"),
          (f"{command} NULL 2 NULL 2 LOCAL x y", "ERR argument 2 has more than one NULL or BIND"))
    wrong(f"{command} FORMAT",
          (f"{command} FORMAT xml LOCAL x", "ERR FORMAT needs rows or json, got 'xml'"),
          (f"{command} FORMAT", "ERR FORMAT needs rows or json, got nothing"))


@use("SUBMIT KEEP")
def zero_forgets_it(stage):
    job = stage.call("SUBMIT", "KEEP", "0", stage.worker, "x")
    leased, token, *_ = stage.reserve()
    with_result = stage.connect()
    with_result.send("AWAIT", job)
    stage.waiting()
    stage.call("ACK", leased, token, "last words")
    assert with_result.read() == b"last words"
    stage.wait_until(lambda: stage.gone(job), "the job to be forgotten")


@restart("SUBMIT KEEP")
def it_is_forgotten_in_time(stage):
    long = stage.done("long", "KEEP", HOUR)
    short = stage.done("short", "KEEP", "500")
    yield
    stage.wait_until(lambda: stage.gone(short), "the job to be forgotten")
    assert stage.call("AWAIT", long) == b"long"


wrong("SUBMIT KEEP", ("SUBMIT KEEP x WORKER x", MILLISECONDS.format("KEEP", 0, "x")))


wrong("SUBMIT COALESCE",
      ("SUBMIT COALESCE 1025 LOCAL x", "ERR COALESCE needs a number from 0 to 1024, got '1025'"),
      ("SUBMIT COALESCE on LOCAL x", "ERR COALESCE needs a number from 0 to 1024, got 'on'"),
      ("SUBMIT COALESCE 1 COALESCE 1 LOCAL x", "ERR COALESCE is given twice"),
      ("RUN COALESCE 2 LOCAL x", "ERR RUN takes no option COALESCE; ... NULL"))


@use("SUBMIT COALESCE")
def it_says_nothing_about_the_result(stage):
    jobs = [stage.call("SUBMIT", "COALESCE", number, "local", "SELECT 1 AS one")
            for number in (0, 1, 64)]
    assert stage.call("GATHER", *jobs) == [[[b"one"], [b"1"]]] * 3
    assert stage.job(stage.call("SUBMIT", "local", "SELECT 1"))["coalesce"] is None


@use("SUBMIT FORMAT")
def json_or_rows(stage):
    select = "SELECT 1 AS one, 'x' AS t, NULL AS n"
    job = stage.call("SUBMIT", "FORMAT", "json", "local", select)
    assert json.loads(stage.call("AWAIT", job)) == [{"one": 1, "t": "x", "n": None}]
    job = stage.call("SUBMIT", "FORMAT", "rows", "local", select)
    assert stage.call("AWAIT", job) == [[b"one", b"t", b"n"], [b"1", b"x", None]]


@restart("SUBMIT FORMAT")
def results_keep_their_shape(stage):
    done = stage.call("SUBMIT", "FORMAT", "json", "local", "SELECT 1 AS one")
    assert json.loads(stage.call("AWAIT", done)) == [{"one": 1}]
    late = stage.call("SUBMIT", "FORMAT", "json", "DELAY", HOUR, "local", "SELECT 2 AS two")
    yield
    assert json.loads(stage.call("AWAIT", done)) == [{"one": 1}]
    stage.call("PROMOTE", late)
    assert json.loads(stage.call("AWAIT", late)) == [{"two": 2}]
