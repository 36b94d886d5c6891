"""waiting.py - AWAIT, GATHER and RACE."""

from conformance.stage import cut_off
from conformance.table import restart, use, wrong
from harness import wire


@use("AWAIT")
def each_end_has_its_answer(stage):
    done, dead, cancelled = stage.done("result"), stage.dead("no paper"), stage.submit()
    stage.call("CANCEL", cancelled)
    assert stage.call("AWAIT", done) == stage.call("AWAIT", done) == b"result"
    stage.refused(["AWAIT", dead], "FAILED NACK no paper")
    stage.refused(["AWAIT", cancelled], f"CANCELLED job {cancelled.decode()} was cancelled")


def waits_over_the_end(row, command, answer):
    @restart(row)
    def it_may_be_asked_again(stage):
        done, job = stage.done("kept"), stage.submit()
        other = stage.connect()
        other.send(command, job)
        stage.waiting()
        yield
        reply = cut_off(other)
        if command == "GATHER" and isinstance(reply, list):
            reply = reply[0]
        assert reply is None or (isinstance(reply, wire.Error) and reply.word == "UNAVAILABLE"), \
            reply
        assert stage.call(command, done) == answer(done, b"kept")
        leased, token, *_ = stage.reserve()
        assert leased == job
        stage.call("ACK", job, token, "late")
        assert stage.call(command, job) == answer(job, b"late")


waits_over_the_end("AWAIT", "AWAIT", lambda job, result: result)
waits_over_the_end("GATHER", "GATHER", lambda job, result: [result])
waits_over_the_end("RACE", "RACE", lambda job, result: [job, result])

for command in ("AWAIT", "GATHER", "RACE"):
    wrong(command,
          (f"{command}", f"ERR wrong number of arguments for '{command.lower()}' command"),
          (f"{command} x1", "ERR 'x1' is not a job id"),
          (f"{command} 0", "ERR '0' is not a job id"),
          (f"{command} 18446744073709551616", "ERR '18446744073709551616' is not a job id"))
    wrong(f"{command} TIMEOUT",
          (f"{command} 1 TIMEOUT", "ERR TIMEOUT needs a number of milliseconds"),
          (f"{command} TIMEOUT 1", "ERR a job id is missing"),
          (f"{command} 1 TIMEOUT -1", "ERR TIMEOUT: '-1' is not a number of milliseconds up to "),
          (f"{command} 1 TIMEOUT soon", "ERR TIMEOUT: 'soon' is not a number of milliseconds"))
wrong("AWAIT",
      ("AWAIT 77", "NOJOB no job 77"),
      ("AWAIT 1 2", "ERR AWAIT takes one job id and [TIMEOUT ms]"),
      ("AWAIT 1 SECONDS 2", "ERR "))


@use("AWAIT TIMEOUT")
def zero_does_not_wait_and_the_job_goes_on(stage):
    job = stage.submit()
    stage.refused(["AWAIT", job, "TIMEOUT", "0"],
                  f"TIMEOUT job {job.decode()} has not finished within 0 ms")
    stage.refused(["AWAIT", job, "timeout", "20"], "TIMEOUT ")
    assert stage.state(job) == "ready"
    done = stage.done_after(job)
    assert stage.call("AWAIT", done, "TIMEOUT", "0") == b"fine"


@use("GATHER")
def the_order_asked_with_errors_in_place(stage):
    first, dead = stage.done("first"), stage.dead("no paper")
    last = stage.done("last")
    replies = stage.call("GATHER", last, dead, "77", first, last)
    assert replies == [b"last", "FAILED NACK no paper", "NOJOB no job 77", b"first", b"last"]
    assert [type(one) for one in replies[1:3]] == [wire.Error] * 2


@use("GATHER TIMEOUT")
def what_is_there_and_timeouts(stage):
    waits, done = stage.submit("DELAY", "3600000"), stage.done("done")
    replies = stage.call("GATHER", waits, done, "TIMEOUT", "0")
    assert replies[1] == b"done"
    assert isinstance(replies[0], wire.Error) and replies[0].word == "TIMEOUT"
    assert waits.decode() in replies[0]


@use("RACE")
def the_first_with_its_id(stage):
    slow, fast = stage.submit("DELAY", "3600000"), stage.submit()
    other = stage.connect()
    other.send("RACE", slow, fast)
    stage.waiting()
    leased, token, *_ = stage.reserve()
    assert leased == fast
    stage.call("ACK", fast, token, "won")
    assert other.read() == [fast, b"won"]


@use("RACE TIMEOUT")
def nobody_won(stage):
    jobs = [stage.submit(), stage.submit()]
    stage.refused(["RACE", *jobs, "TIMEOUT", "0"],
                  "TIMEOUT none of the jobs has ... within 0 ms")
