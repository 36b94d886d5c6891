"""cron.py - CRON: SET with its options, LIST, GET, DEL, RUN."""

from conformance.table import restart, use, wrong

YEARLY = "0 0 1 1 *"
FIELDS = {"name", "expression", "zone", "misfire", "next", "last", "last_job", "error", "command"}


def set_schedule(stage, *words, expression=YEARLY, submit=()):
    assert stage.call("CRON", "SET", stage.name, expression, *words, "SUBMIT", "QUEUE", stage.name,
                      *submit, stage.worker, "due") == "OK"


def get(stage):
    return stage.map(stage.call("CRON", "GET", stage.name))


def fields_case(row, words, expected):
    """Set with the words, GET shows the fields, also after a restart."""

    @use(row)
    def get_shows_it(stage):
        set_schedule(stage, *words)
        assert expected.items() <= get(stage).items()

    @restart(row)
    def get_shows_it_afterwards(stage):
        set_schedule(stage, *words)
        before = get(stage)
        yield
        assert get(stage) == before


fields_case("CRON SET", [], {"expression": YEARLY, "zone": "UTC", "misfire": "once"})
fields_case("CRON SET TZ", ["TZ", "Europe/Berlin"], {"zone": "Europe/Berlin"})
fields_case("CRON SET MISFIRE", ["MISFIRE", "ALL"], {"misfire": "all"})
fields_case("CRON GET", ["misfire", "skip", "tz", "UTC"], {"misfire": "skip", "last": None})


@use("CRON SET")
def its_time_makes_a_job(stage):
    set_schedule(stage, expression="@every 1s")
    assert stage.reserve("TIMEOUT", "60000")[3] == b"due"
    assert stage.call("CRON", "DEL", stage.name) == 1


@use("CRON SET SUBMIT")
def the_job_has_the_options(stage):
    set_schedule(stage, submit=["PRIORITY", "5", "RETRY", "7", "KEEP", "9"])
    fields = stage.job(stage.call("CRON", "RUN", stage.name))
    assert (fields["priority"], fields["retry"], fields["keep"]) == (5, 7, 9)


@restart("CRON SET SUBMIT")
def the_job_has_the_options_afterwards(stage):
    set_schedule(stage, submit=["PRIORITY", "5", "RETRY", "7", "KEEP", "9"])
    yield
    fields = stage.job(stage.call("CRON", "RUN", stage.name))
    assert (fields["priority"], fields["retry"], fields["keep"]) == (5, 7, 9)


@use("CRON GET")
def every_documented_field(stage):
    set_schedule(stage)
    fields = get(stage)
    assert set(fields) == FIELDS
    assert len(fields["next"]) == 5 and fields["next"] == sorted(fields["next"])
    assert fields["command"][-2:] == [stage.worker.encode(), b"due"]


def listed(stage):
    return [stage.map(one)["name"] for one in stage.call("CRON", "LIST")]


@use("CRON LIST")
def sorted_by_name(stage):
    set_schedule(stage)
    names = listed(stage)
    assert names == sorted(names)
    assert stage.name in names


@restart("CRON LIST")
def the_list_survives(stage):
    set_schedule(stage)
    yield
    assert stage.name in listed(stage)


@use("CRON DEL")
def it_is_gone(stage):
    set_schedule(stage)
    assert stage.call("CRON", "DEL", stage.name) == 1
    assert stage.call("CRON", "DEL", stage.name) == 0
    assert stage.name not in listed(stage)


@restart("CRON DEL")
def it_stays_gone(stage):
    set_schedule(stage)
    stage.call("CRON", "DEL", stage.name)
    yield
    assert stage.name not in listed(stage)


@use("CRON RUN")
def a_job_now_and_the_times_stay(stage):
    set_schedule(stage)
    before = get(stage)["next"]
    job = stage.call("CRON", "RUN", stage.name)
    assert stage.reserve()[0] == job
    assert get(stage)["next"] == before


@restart("CRON RUN")
def the_job_survives(stage):
    set_schedule(stage)
    job = stage.call("CRON", "RUN", stage.name)
    yield
    assert stage.reserve()[0] == job


USAGE = "CRON SET <name> <expression> [TZ zone] [MISFIRE skip|once|all] SUBMIT ..."


def words(*more):
    return ("CRON", "SET", "wrong", YEARLY, *more)


JOB = ("SUBMIT", "WORKER", "x")

wrong("CRON SET",
      ("CRON", "ERR wrong number of arguments for 'cron' command"),
      ("CRON FETCH x", "ERR CRON takes SET, LIST, GET, DEL or RUN, not 'FETCH'"),
      ("CRON SET a", f"ERR wrong number of arguments: {USAGE}"),
      (words(), f"ERR CRON SET lacks the job: {USAGE}"),
      (words("ZONE", "UTC", *JOB), "ERR CRON SET has no option 'ZONE'"),
      (("CRON", "SET", "9a", YEARLY, *JOB), "ERR CRON SET needs a schedule's name, but '9a' "),
      (("CRON", "SET", "wrong", "0 25 * * *", *JOB), "ERR hour: '25' is not from 0 to 23"))
wrong("CRON SET TZ",
      (words("TZ", "Mars/Olympus", *JOB), "ERR no time zone 'Mars/Olympus'"),
      (words("TZ"), "ERR TZ needs a value"),
      (words("TZ", "UTC", "TZ", "UTC", *JOB), "ERR TZ is given twice"))
wrong("CRON SET MISFIRE",
      (words("MISFIRE", "twice", *JOB), "ERR MISFIRE needs skip, once or all, got 'twice'"),
      (words("MISFIRE"), "ERR MISFIRE needs a value"))
wrong("CRON SET SUBMIT",
      (words("SUBMIT", "nosuch", "x"), "NOTARGET no target 'nosuch'"),
      (words("SUBMIT", "RETRY", "x", "WORKER", "x"), "ERR RETRY needs a number from 0 to "),
      *((words("SUBMIT", *option, "WORKER", "x"), f"ERR CRON SET takes no option {option[0]}: ")
        for option in (("AT", "1"), ("AFTER", "1"), ("BIND", "1", "1", "0", "0"),
                       ("ONFAIL", "run"))))
wrong("CRON LIST", ("CRON LIST x", "ERR wrong number of arguments: CRON LIST"))
for word in ("GET", "DEL", "RUN"):
    wrong(f"CRON {word}",
          (f"CRON {word}", f"ERR wrong number of arguments: CRON {word} <name>"),
          (f"CRON {word} a b", f"ERR wrong number of arguments: CRON {word} <name>"))
for word in ("GET", "RUN"):
    wrong(f"CRON {word}", (f"CRON {word} nosuch", "ERR no schedule 'nosuch'; CRON LIST shows them"))
