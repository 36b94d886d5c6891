"""worker.py - RESERVE with its options, ACK, NACK, EXTEND and PROGRESS."""

from conformance.stage import HOUR
from conformance.table import restart, use, wrong
from harness import wire


@use("RESERVE")
def who_waits_is_handed_the_next_job(stage):
    other = stage.connect()
    other.send("RESERVE", stage.worker)
    stage.waiting()
    job = stage.submit()
    [[leased, token, attempt, argument]] = other.read()
    assert (leased, attempt, argument) == (job, 1, stage.name.encode())
    assert token.isdigit()
    assert stage.state(job) == "running"


@restart("RESERVE")
def a_lease_ends_with_the_daemon(stage):
    job, token = stage.running()
    yield
    stage.refused(["ACK", job, token], "BADTOKEN the lease on job ... has ended")
    leased, new, attempt, *_ = stage.reserve("TIMEOUT", "60000")
    assert (leased, attempt) == (job, 1)
    assert new != token
    assert stage.call("ACK", job, new) == "OK"


wrong("RESERVE",
      ("RESERVE", "ERR wrong number of arguments for 'reserve' command"),
      ("RESERVE nosuch", "NOTARGET no target 'nosuch'"),
      ("RESERVE LOCAL", "ERR target local"),
      ("RESERVE COUNT 1", "ERR RESERVE takes 1 to 32 targets before its options"),
      ("RESERVE WORKER COUNT 1 more", "ERR RESERVE does not know 'more'; targets come first"))
for option, low, high in (("COUNT", 1, 1000), ("TIMEOUT", 0, 3153600000000),
                          ("LEASE", 1, 86400000)):
    wrong(f"RESERVE {option}",
          *((f"RESERVE WORKER {option} {value}".strip(),
             f"ERR {option} needs a number from {low} to {high}")
            for value in (low - 1, high + 1, "x", "")))


@use("RESERVE COUNT")
def as_many_as_are_there(stage):
    jobs = [stage.submit() for _ in range(3)]
    two = stage.call("RESERVE", stage.worker, "COUNT", "2")
    rest = stage.call("RESERVE", stage.worker, "COUNT", "1000")
    assert [[one[0] for one in reply] for reply in (two, rest)] == [jobs[:2], jobs[2:]]
    assert len({one[1] for one in two + rest}) == 3


@restart("RESERVE COUNT")
def all_of_them_return(stage):
    jobs = [stage.submit() for _ in range(5)]
    leased = stage.call("RESERVE", stage.worker, "COUNT", "5")
    stage.call("ACK", leased[0][0], leased[0][1])
    yield
    again = stage.call("RESERVE", stage.worker, "COUNT", "5")
    assert [one[0] for one in again] == jobs[1:]


@use("RESERVE TIMEOUT")
def time_is_up(stage):
    assert stage.call("RESERVE", stage.worker, "TIMEOUT", "0") == []
    assert stage.call("RESERVE", stage.worker, "TIMEOUT", "20") == []
    job = stage.submit()
    assert stage.reserve("TIMEOUT", "0")[0] == job


@use("RESERVE LEASE")
def an_expired_one_returns_the_job(stage):
    job = stage.submit()
    _, token, *_ = stage.reserve("LEASE", "1")
    leased, new, attempt, *_ = stage.reserve("TIMEOUT", "60000")
    assert (leased, attempt) == (job, 1)
    stage.refused(["ACK", job, token], "BADTOKEN ... " + job.decode())
    assert stage.job(job)["interruptions"] == 1
    assert stage.call("ACK", job, new) == "OK"


@restart("RESERVE LEASE")
def the_fence_holds_afterwards(stage):
    job = stage.submit()
    _, token, *_ = stage.reserve("LEASE", "86400000")
    yield
    for words in (["ACK", job, token], ["NACK", job, token], ["EXTEND", job, token, "5"],
                  ["PROGRESS", job, token, "5"]):
        stage.refused(words, "BADTOKEN the lease on job " + job.decode())
    assert stage.state(job) == "ready"


@use("ACK")
def the_result_is_awaited(stage):
    job, token = stage.running()
    other = stage.connect()
    other.send("AWAIT", job)
    stage.waiting()
    assert stage.connect().call("ACK", job, token, b"\0 result") == "OK"
    assert other.read() == b"\0 result"
    stage.refused(["ACK", job, token], "BADTOKEN ... " + job.decode())
    job, token = stage.running()
    assert stage.call("ACK", job, token) == "OK"
    assert isinstance(stage.call("AWAIT", job), (bytes, wire.Status))


@restart("ACK")
def done_is_done(stage):
    job, token = stage.running()
    stage.call("ACK", job, token, b"result")
    yield
    assert stage.call("AWAIT", job) == b"result"
    stage.refused(["ACK", job, token], "BADTOKEN ")
    assert stage.call("RESERVE", stage.worker, "TIMEOUT", "0") == []


for command, words in (("ACK", ""), ("NACK", ""), ("EXTEND", " 5"), ("PROGRESS", " 5")):
    wrong(command,
          (f"{command} 1", f"ERR wrong number of arguments for '{command.lower()}' command"),
          (f"{command} x1 1{words}", "ERR 'x1' is not a job id"),
          (f"{command} 1 x1{words}", "BADTOKEN 'x1' is not a token"),
          (f"{command} 77 1{words}", "NOJOB no job 77"))


@use("NACK")
def it_spends_an_attempt(stage):
    job, token = stage.running("RETRY", "1", "BACKOFF", "1", "1")
    assert stage.call("NACK", job, token) == "OK"
    leased, token, attempt, *_ = stage.reserve("TIMEOUT", "60000")
    assert (leased, attempt) == (job, 2)
    stage.call("NACK", job, token)
    stage.refused(["AWAIT", job], "FAILED NACK")
    stage.refused(["NACK", job, token], "BADTOKEN ")


@restart("NACK")
def dead_stays_dead(stage):
    job = stage.dead("no paper")
    yield
    stage.refused(["AWAIT", job], "FAILED NACK no paper")
    assert stage.state(job) == "dead"


@use("NACK DELAY")
def in_place_of_backoff(stage):
    job, token = stage.running("BACKOFF", HOUR, HOUR)
    assert stage.call("NACK", job, token, "DELAY", "0") == "OK"
    leased, token, *_ = stage.reserve("TIMEOUT", "60000")
    assert stage.call("NACK", leased, token, "delay", HOUR) == "OK"
    stage.wait_until(lambda: stage.state(job) == "scheduled", "the pause")


@restart("NACK DELAY")
def the_pause_goes_on(stage):
    job, token = stage.running()
    stage.call("NACK", job, token, "DELAY", HOUR)
    due = stage.job(job)["due"]
    yield
    assert (stage.state(job), stage.job(job)["due"]) == ("scheduled", due)
    stage.call("PROMOTE", job)
    assert stage.reserve("TIMEOUT", "60000")[2] == 2


wrong("NACK DELAY",
      ("NACK 1 1 DELAY", "ERR DELAY needs a number from 0 to "),
      ("NACK 1 1 DELAY x", "ERR DELAY needs a number from 0 to "))


@use("NACK ERROR")
def job_shows_it(stage):
    job, token = stage.running()
    stage.call("NACK", job, token, "DELAY", HOUR, "ERROR", "no paper\nin tray 2")
    stage.wait_until(lambda: stage.state(job) == "scheduled", "the pause")
    assert stage.job(job)["error"].startswith("NACK no paper")


@restart("NACK ERROR")
def it_is_shown_afterwards(stage):
    job, token = stage.running()
    stage.call("NACK", job, token, "ERROR", "no paper", "DELAY", HOUR)
    yield
    assert stage.job(job)["error"] == "NACK no paper"


wrong("NACK ERROR",
      ("NACK 1 1 ERROR", "ERR NACK takes <id> <token> [DELAY ms] [ERROR text]"),
      ("NACK 1 1 WHY x", "ERR NACK takes <id> <token> [DELAY ms] [ERROR text]"))


@use("EXTEND")
def the_lease_goes_on(stage):
    job = stage.submit()
    _, token, *_ = stage.reserve("LEASE", "3600000")
    assert stage.call("EXTEND", job, token, "86400000") == "OK"
    # It may end sooner, too: the job is there long before the lease that it had.
    assert stage.call("EXTEND", job, token, "1") == "OK"
    assert stage.reserve("TIMEOUT", "60000")[0] == job
    stage.refused(["EXTEND", job, token, "5"], "BADTOKEN ")
    stage.call("CANCEL", job)
    assert stage.state(job) == "cancelled"


@restart("EXTEND")
def not_over_the_end_of_the_daemon(stage):
    job, token = stage.running()
    stage.call("EXTEND", job, token, "86400000")
    yield
    stage.refused(["EXTEND", job, token, "5"], "BADTOKEN ")
    assert stage.reserve("TIMEOUT", "60000")[0] == job


wrong("EXTEND",
      ("EXTEND 1 1 0", "ERR EXTEND needs a number from 1 to 86400000"),
      ("EXTEND 1 1 86400001", "ERR EXTEND needs a number from 1 to 86400000"))


@use("PROGRESS")
def job_shows_how_far(stage):
    job, token = stage.running()
    assert stage.call("PROGRESS", job, token, "0") == "OK"
    assert stage.call("PROGRESS", job, token, "40", "page 4 of 10") == "OK"
    fields = stage.job(job)
    assert (fields["progress"], fields["progress_text"]) == (40, "page 4 of 10")
    stage.call("CANCEL", job)
    stage.refused(["PROGRESS", job, token, "50"], "CANCELLED job " + job.decode())


@restart("PROGRESS")
def only_while_a_worker_holds_it(stage):
    job, token = stage.running()
    stage.call("PROGRESS", job, token, "40")
    yield
    assert stage.job(job).get("progress") is None
    stage.refused(["PROGRESS", job, token, "50"], "BADTOKEN ")


wrong("PROGRESS",
      ("PROGRESS 1 1 101", "ERR PROGRESS needs a number from 0 to 100"),
      ("PROGRESS 1 1 half", "ERR PROGRESS needs a number from 0 to 100"))
