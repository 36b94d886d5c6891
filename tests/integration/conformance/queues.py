"""queues.py - QUEUES, QUEUE, TARGETS and TARGET."""

from conformance.stage import HOUR
from conformance.table import restart, use, wrong

BOTH = {"paused", "scheduled", "blocked", "ready", "running", "bytes"}
QUEUE_FIELDS = BOTH | {"queue", "done", "dead", "cancelled", "uncertain", "concurrency"}
TARGET_FIELDS = BOTH | {"target", "type", "up", "since", "reason", "capacity"}
MORE = {"paused_since", "rate_per_s", "rate_burst",
        "submitted_per_s_1m", "submitted_per_s_5m", "started_per_s_1m",
        "done_per_s_1m", "failed_per_s_1m", "waiting_p50_ms", "waiting_p90_ms", "waiting_p99_ms",
        "running_p50_ms", "running_p90_ms", "running_p99_ms"}
OLDEST = {"oldest_job", "oldest_age_ms"}


def line_of(stage, command, key, name):
    lines = [stage.map(one) for one in stage.call(command)]
    [line] = [one for one in lines if one[key] == name]
    return line


def counts(fields):
    return {state: fields[state] for state in ("scheduled", "ready", "running")}


def some_jobs(stage):
    stage.running()
    for _ in range(2):
        stage.submit("DELAY", HOUR)
    return stage.submit()


COUNTED = {"scheduled": 2, "ready": 1, "running": 1}
COUNTED_AFTERWARDS = {"scheduled": 2, "ready": 2, "running": 0}


def looking_cases(list_command, command, key, fields, stats_fields, name_of):
    def since(stage):
        return stage.map(stage.call(command, "STATS", name_of(stage)))["paused_since"]

    @use(list_command)
    def one_map_each(stage):
        some_jobs(stage)
        line = line_of(stage, list_command, key, name_of(stage))
        assert fields <= set(line), fields - set(line)
        assert counts(line) == COUNTED
        assert not line["paused"]

    @restart(list_command)
    def the_counts_survive(stage):
        some_jobs(stage)
        yield
        assert counts(line_of(stage, list_command, key, name_of(stage))) == COUNTED_AFTERWARDS

    @use(f"{command} STATS")
    def everything_about_one(stage):
        ready = some_jobs(stage)
        stats = stage.map(stage.call(command, "STATS", name_of(stage)))
        assert fields | stats_fields <= set(stats), (fields | stats_fields) - set(stats)
        assert counts(stats) == COUNTED
        if "oldest_job" in stats_fields:
            assert stats["oldest_job"].encode() == ready
        assert stats["waiting_p50_ms"] is not None

    @restart(f"{command} STATS")
    def they_count_on(stage):
        some_jobs(stage)
        yield
        stats = stage.map(stage.call(command, "STATS", name_of(stage)))
        assert counts(stats) == COUNTED_AFTERWARDS

    @use(f"{command} PAUSE")
    def nothing_starts(stage):
        job = stage.submit()
        assert stage.call(command, "PAUSE", name_of(stage)) == "OK"
        assert stage.call("RESERVE", stage.worker, "TIMEOUT", "0") == []
        assert stage.submit() != job
        assert line_of(stage, list_command, key, name_of(stage))["paused"]
        assert since(stage) > 0
        assert stage.call(command, "PAUSE", name_of(stage)) == "OK"
        stage.call(command, "RESUME", name_of(stage))

    @restart(f"{command} PAUSE")
    def it_stays_paused(stage):
        stage.submit()
        stage.call(command, "PAUSE", name_of(stage))
        before = since(stage)
        yield
        assert stage.call("RESERVE", stage.worker, "TIMEOUT", "0") == []
        assert line_of(stage, list_command, key, name_of(stage))["paused"]
        assert since(stage) == before
        stage.call(command, "RESUME", name_of(stage))
        stage.reserve("TIMEOUT", "60000")

    @use(f"{command} RESUME")
    def who_waits_is_served(stage):
        stage.call(command, "PAUSE", name_of(stage))
        job = stage.submit()
        other = stage.connect()
        other.send("RESERVE", stage.worker)
        stage.waiting()
        assert stage.call(command, "RESUME", name_of(stage)) == "OK"
        assert other.read()[0][0] == job
        assert stage.call(command, "RESUME", name_of(stage)) == "OK"

    @restart(f"{command} RESUME")
    def it_stays_resumed(stage):
        job = stage.submit()
        stage.call(command, "PAUSE", name_of(stage))
        stage.call(command, "RESUME", name_of(stage))
        yield
        assert stage.reserve("TIMEOUT", "60000")[0] == job

    wrong(list_command,
          (f"{list_command} x", f"ERR wrong number of arguments for '{list_command.lower()}'"))
    for word in ("STATS", "PAUSE", "RESUME"):
        wrong(f"{command} {word}",
              (f"{command} {word}",
               f"ERR wrong number of arguments for '{command.lower()}' command"),
              (f"{command} {word} a b", "ERR wrong number of arguments for "))


looking_cases("QUEUES", "QUEUE", "queue", QUEUE_FIELDS,
              MORE | OLDEST | {"length_max", "bytes_max", "weight"}, lambda stage: stage.name)
looking_cases("TARGETS", "TARGET", "target", TARGET_FIELDS, MORE, lambda stage: stage.worker)

wrong("QUEUE STATS",
      ("QUEUE STATS nosuch", "ERR no queue 'nosuch'"),
      ("QUEUE CLEAR q", "ERR QUEUE takes PAUSE, RESUME, PURGE or STATS and a queue, not 'CLEAR'"))
wrong("QUEUE PAUSE", ("QUEUE PAUSE 9q", "ERR the queue's name '9q' "))
wrong("QUEUE RESUME", ("QUEUE RESUME delay", "ERR the queue's name 'delay' "))
wrong("QUEUE PURGE",
      ("QUEUE PURGE 9q", "ERR the queue's name '9q' "),
      ("QUEUE PURGE", "ERR wrong number of arguments for 'queue' command"))
wrong("TARGET INIT",
      ("TARGET INIT nosuch", "NOTARGET no target 'nosuch'"),
      ("TARGET INIT LOCAL", "ERR target local needs nothing to be made"),
      ("TARGET INIT", "ERR wrong number of arguments for 'target' command"))
wrong("TARGET INIT SQL",
      ("TARGET INIT LOCAL text", "ERR TARGET INIT takes a target and perhaps SQL, not 'text'"),
      ("TARGET INIT LOCAL SQL x", "ERR wrong number of arguments for 'target' command"))
wrong("TARGET STATS",
      ("TARGET STATS nosuch", "NOTARGET no target 'nosuch'"),
      ("TARGET PURGE WORKER", "ERR TARGET takes PAUSE, RESUME ... and a target, not 'PURGE'"))
wrong("TARGET PAUSE", ("TARGET PAUSE nosuch", "NOTARGET no target 'nosuch'"))
wrong("TARGET RESUME", ("TARGET RESUME nosuch", "NOTARGET no target 'nosuch'"))


@use("QUEUE PURGE")
def what_waits_is_gone(stage):
    running, token = stage.running()
    waiting = [stage.submit(), stage.submit("DELAY", HOUR), stage.submit("AFTER", running)]
    other = stage.connect()
    other.send("AWAIT", waiting[1])
    stage.waiting()
    assert stage.call("QUEUE", "PURGE", stage.name) == 3
    assert other.read().word == "CANCELLED"
    assert stage.jobs("QUEUE", stage.name) == [running]
    assert stage.call("ACK", running, token) == "OK"
    assert stage.call("QUEUE", "PURGE", stage.name) == 0


@restart("QUEUE PURGE")
def it_does_not_come_back(stage):
    done = stage.done()
    stage.submit()
    stage.submit("DELAY", HOUR)
    assert stage.call("QUEUE", "PURGE", stage.name) == 2
    yield
    assert stage.jobs("QUEUE", stage.name) == [done]
