"""jobs.py - JOB, JOBS and its filters, CANCEL, RETRY, DELETE, PROMOTE by id and by WHERE."""

from conformance.stage import HOUR
from conformance.table import restart, use, wrong

JOB_FIELDS = {"id", "queue", "target", "state", "priority", "attempts", "retry", "interruptions",
              "created", "started", "finished", "due", "expires", "key", "serial", "expires_at",
              "onfail", "blockers", "after", "timeout", "backoff_min", "backoff_max", "keep",
              "coalesce", "format", "error", "arguments", "result", "history"}
JOBS_FIELDS = JOB_FIELDS - {"arguments", "result", "history", "key", "serial", "expires_at",
                            "onfail", "blockers", "after"}


@use("JOB")
def every_documented_field(stage):
    fields = stage.job(stage.dead("no paper"))
    assert JOB_FIELDS <= set(fields), JOB_FIELDS - set(fields)
    assert (fields["state"], fields["attempts"], fields["error"]) == ("dead", 1, "NACK no paper")
    assert fields["created"] <= fields["started"] <= fields["finished"]
    assert fields["expires"] > fields["finished"]
    assert fields["arguments"] == [stage.name.encode()]
    assert fields["key"] is None and fields["due"] is None
    [attempt] = fields["history"]
    attempt = stage.map(attempt)
    assert (attempt["number"], attempt["code"], attempt["message"]) == (1, "NACK", "no paper")


@restart("JOB")
def every_field_survives(stage):
    jobs = [stage.dead("no paper"), stage.done("result"), stage.submit("DELAY", HOUR)]
    before = [stage.job(job) for job in jobs]
    yield
    assert [stage.job(job) for job in jobs] == before


wrong("JOB",
      ("JOB", "ERR wrong number of arguments for 'job' command"),
      ("JOB 1 2", "ERR wrong number of arguments for 'job' command"),
      ("JOB x1", "ERR 'x1' is not a job id"),
      ("JOB 77", "NOJOB no job 77"))


@use("JOBS")
def a_cursor_and_maps(stage):
    job = stage.submit()
    cursor, page = stage.call("JOBS", "QUEUE", stage.name)
    assert cursor == b"0"
    [fields] = [stage.map(one) for one in page]
    assert fields["id"].encode() == job
    assert JOBS_FIELDS <= set(fields), JOBS_FIELDS - set(fields)
    assert not {"arguments", "result", "history"} & set(fields)
    assert stage.call("JOBS", "LIMIT", "1")[1]


@restart("JOBS")
def the_list_survives(stage):
    jobs = [stage.submit() for _ in range(3)]
    yield
    assert stage.jobs("QUEUE", stage.name) == jobs


FILTERS = {
    "QUEUE": lambda stage: stage.name,
    "TARGET": lambda stage: stage.worker,
    "MATCH": lambda stage: f"{stage.name[:4]}*{stage.name[-4:]}",
}


def filter_case(word, value):
    row = f"JOBS {word}"

    @use(row)
    def only_those(stage):
        stage.call("SUBMIT", "local", "SELECT 1")
        jobs = [stage.dead(), stage.submit("DELAY", HOUR), stage.submit()]
        assert sorted(every_page(stage, word, value(stage))) == sorted(jobs)
        assert every_page(stage, word, "nosuch-name-here") == []

    @restart(row)
    def only_those_afterwards(stage):
        jobs = [stage.dead(), stage.submit("DELAY", HOUR), stage.submit()]
        yield
        assert sorted(every_page(stage, word, value(stage))) == sorted(jobs)


def every_page(stage, *words):
    cursor, found = b"0", []
    while True:
        cursor, page = stage.call("JOBS", *words, "LIMIT", "1000", "CURSOR", cursor)
        found += [stage.map(one)["id"].encode() for one in page]
        if cursor == b"0":
            return found


for name, function in FILTERS.items():
    filter_case(name, function)


def one_of_each_state(stage):
    running, _ = stage.running()
    cancelled = stage.submit("PRIORITY", "9999")
    stage.call("CANCEL", cancelled)
    jobs = {"running": running, "cancelled": cancelled, "dead": stage.dead(), "done": stage.done(),
            "scheduled": stage.submit("DELAY", HOUR), "blocked": stage.submit("AFTER", running)}
    jobs["ready"] = stage.submit()
    return jobs


@use("JOBS STATE")
def each_state(stage):
    for state, job in one_of_each_state(stage).items():
        assert stage.jobs("QUEUE", stage.name, "STATE", state) == [job], state
    assert stage.jobs("QUEUE", stage.name, "STATE", "uncertain") == []


@restart("JOBS STATE")
def each_state_but_running(stage):
    jobs = one_of_each_state(stage)
    yield
    for state in ("scheduled", "blocked", "dead", "done", "cancelled"):
        assert stage.jobs("QUEUE", stage.name, "STATE", state) == [jobs[state]], state
    assert sorted(stage.jobs("QUEUE", stage.name, "STATE", "ready")) == sorted(
        [jobs["ready"], jobs["running"]])


@use("JOBS LIMIT")
def at_most_so_many(stage):
    jobs = [stage.submit() for _ in range(3)]
    assert stage.jobs("QUEUE", stage.name, "LIMIT", "2") == jobs[:2]
    assert stage.jobs("QUEUE", stage.name, "LIMIT", "10000") == jobs


def pages(stage, cursor):
    found = []
    while cursor != b"0":
        cursor, page = stage.call("JOBS", "QUEUE", stage.name, "LIMIT", "1", "CURSOR", cursor)
        found += [stage.map(one)["id"].encode() for one in page]
    return found


@use("JOBS CURSOR")
def page_by_page(stage):
    jobs = [stage.submit() for _ in range(4)]
    cursor, page = stage.call("JOBS", "QUEUE", stage.name, "LIMIT", "1")
    first = [stage.map(one)["id"].encode() for one in page]
    assert first + pages(stage, cursor) == jobs


@restart("JOBS CURSOR")
def a_cursor_goes_on_afterwards(stage):
    jobs = [stage.submit() for _ in range(4)]
    cursor, page = stage.call("JOBS", "QUEUE", stage.name, "LIMIT", "2")
    first = [stage.map(one)["id"].encode() for one in page]
    yield
    assert first + pages(stage, cursor) == jobs


wrong("JOBS",
      ("JOBS nosuch x", "ERR JOBS has no option 'nosuch'; it takes QUEUE STATE TARGET MATCH LIMIT "
                        "CURSOR"),)
for command in ("JOBS", "CANCEL WHERE", "RETRY WHERE", "DELETE WHERE", "PROMOTE WHERE"):
    place = command if "WHERE" in command else None
    wrong(place or "JOBS QUEUE",
          (f"{command} QUEUE", "ERR QUEUE needs a value"),
          (f"{command} QUEUE 9q", "ERR QUEUE: '9q' "))
    wrong(place or "JOBS STATE",
          (f"{command} STATE", "ERR STATE needs a value"),
          (f"{command} STATE tired", "ERR STATE: 'tired' is no state; known: scheduled blocked"))
    wrong(place or "JOBS TARGET",
          (f"{command} TARGET", "ERR TARGET needs a value"),
          (f"{command} TARGET 9t", "ERR TARGET: '9t' "))
    wrong(place or "JOBS MATCH",
          (f"{command} MATCH", "ERR MATCH needs a value"))
    wrong(place or "JOBS LIMIT",
          (f"{command} LIMIT", "ERR LIMIT needs a value"),
          (f"{command} LIMIT 0", "ERR LIMIT: '0' is not a number from 1 to "),
          (f"{command} LIMIT many", "ERR LIMIT: 'many' is not a number from 1 to "))
    if place:
        wrong(place,
              (command, f"ERR {command} needs at least one of QUEUE STATE TARGET MATCH"),
              (f"{command} LIMIT 5", f"ERR {command} needs at least one of QUEUE"),
              (f"{command} CURSOR 5", f"ERR {command} has no option 'CURSOR'"),
              (f"{command} 5", f"ERR {command} has no option '5'"))
        word = command.split()[0]
        wrong(word,
              (word, f"ERR wrong number of arguments for '{word.lower()}' command"),
              (f"{word} x1", "ERR 'x1' is not a job id"),
              (f"{word} 1 0", "ERR '0' is not a job id"))
wrong("JOBS LIMIT", ("JOBS LIMIT 10001", "ERR LIMIT: '10001' is not a number from 1 to 10000"))
wrong("JOBS CURSOR",
      ("JOBS CURSOR", "ERR CURSOR needs a value"),
      ("JOBS CURSOR here", "ERR CURSOR: 'here' is not one that JOBS has given"))
wrong("CANCEL WHERE", ("CANCEL WHERE STATE done", "ERR CANCEL changes no job in that state; it "
                                                  "changes: scheduled blocked ready running"))
wrong("RETRY WHERE", ("RETRY WHERE STATE done", "ERR RETRY changes no job in that state; it "
                                                "changes: dead cancelled uncertain"))
wrong("DELETE WHERE", ("DELETE WHERE STATE running", "ERR DELETE changes no job in that state"))
wrong("PROMOTE WHERE", ("PROMOTE WHERE STATE dead", "ERR PROMOTE changes no job in that state; it "
                                                    "changes: scheduled"))

# What each changes: the states of the jobs of `one_of_each_state` afterwards; absent is gone.
AFTERWARDS = {
    "CANCEL": {"running": "cancelled", "cancelled": "cancelled", "dead": "dead", "done": "done",
               "scheduled": "cancelled", "blocked": "cancelled", "ready": "cancelled"},
    "RETRY": {"running": "running", "cancelled": "ready", "dead": "ready", "done": "done",
              "scheduled": "scheduled", "blocked": "blocked", "ready": "ready"},
    "DELETE": {"running": "running"},
    "PROMOTE": {"running": "running", "cancelled": "cancelled", "dead": "dead", "done": "done",
                "scheduled": "ready", "blocked": "blocked", "ready": "ready"},
}
COUNTS = {"CANCEL": 4, "RETRY": 2, "DELETE": 6, "PROMOTE": 1}


def check(stage, jobs, expected):
    for state, job in jobs.items():
        if state in expected:
            assert stage.state(job) == expected[state], state
        else:
            stage.refused(["JOB", job], f"NOJOB no job {job.decode()}")


def steering_cases(command):
    by_id = AFTERWARDS[command]
    # RETRY WHERE without a state means the dead ones only.
    by_filter = {**by_id, "cancelled": "cancelled"} if command == "RETRY" else by_id
    filtered = 1 if command == "RETRY" else COUNTS[command]

    @use(command)
    def it_counts_what_it_changed(stage):
        jobs = one_of_each_state(stage)
        # Children first: cancelling the parent would cancel the child on its own.
        words = sorted(jobs.values(), key=lambda job: job != jobs["blocked"])
        assert stage.call(command, *words, "77") == COUNTS[command]
        check(stage, jobs, by_id)
        assert stage.call(command, "77") == 0

    @use(f"{command} WHERE")
    def all_that_pass(stage):
        jobs = one_of_each_state(stage)
        assert stage.call(command, "WHERE", "QUEUE", stage.name) == filtered
        check(stage, jobs, by_filter)

    @restart(command)
    def it_stays_changed(stage):
        jobs = one_of_each_state(stage)
        assert stage.call(command, *sorted(jobs.values(), key=lambda job: job != jobs["blocked"])) \
            == COUNTS[command]
        yield
        check(stage, jobs, after_restart(by_id))

    @restart(f"{command} WHERE")
    def all_stay_changed(stage):
        jobs = one_of_each_state(stage)
        stage.call(command, "WHERE", "QUEUE", stage.name)
        yield
        check(stage, jobs, after_restart(by_filter))


def after_restart(states):
    """A job that ran is ready again: its lease ended with the daemon."""
    return {was: "ready" if state == "running" else state for was, state in states.items()}


for name in AFTERWARDS:
    steering_cases(name)


@use("CANCEL WHERE")
def at_most_limit_of_them(stage):
    jobs = [stage.submit() for _ in range(5)]
    assert stage.call("CANCEL", "WHERE", "TARGET", stage.worker, "MATCH", stage.name + "*",
                      "STATE", "ready", "LIMIT", "2") == 2
    assert [stage.state(job) for job in jobs].count("cancelled") == 2
