"""test_cron.py - CRON: schedules that fire, across restarts and kill -9, and what becomes of due
times that were missed. To be down for an hour, a test moves the times in queue.db back."""

import contextlib
import sqlite3
import time

import pytest

from harness import daemon as daemon_module
from harness import process, wire

EVERY_SECOND = "*/1 * * * * *"
INSERT = ("local", "INSERT INTO o(t) VALUES (1)")


def table(client):
    client.call("RUN", "local", "CREATE TABLE o(n INTEGER PRIMARY KEY, t)")


def rows(client):
    return int(client.call("RUN", "local", "SELECT count(*) FROM o")[1][0])


def get(client, name):
    fields = wire.as_map(client.call("CRON", "GET", name))
    return {key: wire.text(value) for key, value in fields.items()}


def submissions(client):
    """The jobs of the schedules' queue, as id -> state."""
    found = {}
    cursor = b"0"
    while True:
        cursor, page = client.call("JOBS", "QUEUE", "timed", "LIMIT", "1000", "CURSOR", cursor)
        for job in map(wire.as_map, page):
            found[int(job["id"])] = wire.text(job["state"])
        if cursor == b"0":
            return found


def wait_for_rows(client, count):
    process.wait_until(lambda: rows(client) >= count, 60, f"{count} rows")


@contextlib.contextmanager
def stored(daemon):
    """queue.db, while the daemon is down."""
    connection = sqlite3.connect(daemon.state / "queue.db")
    with contextlib.closing(connection):
        yield connection
        connection.commit()


def set_every_second(client, name="tick", *options, queue="timed"):
    assert client.call("CRON", "SET", name, EVERY_SECOND, *options, "SUBMIT", "QUEUE", queue,
                       "KEEP", "3600000", *INSERT) == "OK"


def test_six_fields_fire_each_second(local):
    with local.connect() as client:
        table(client)
        set_every_second(client)
        wait_for_rows(client, 3)
        fields = get(client, "tick")
        assert fields["last"] % 1000 == 0
        assert fields["last"] <= time.time() * 1000
        assert client.call("AWAIT", fields["last_job"]) == "INSERT 0 1"
        assert fields["error"] is None
        assert client.call("CRON", "DEL", "tick") == 1
        jobs = submissions(client)
        client.call("GATHER", *jobs)
        assert rows(client) == len(jobs)
        # deleted: after a second and more there are no new ones
        time.sleep(1.5)
        assert submissions(client).keys() == jobs.keys()


def test_every(local):
    with local.connect() as client:
        table(client)
        before_ms = time.time() * 1000
        assert client.call("CRON", "SET", "e", "@every 1s", "SUBMIT", *INSERT) == "OK"
        times = get(client, "e")["next"]
        after_ms = time.time() * 1000
        assert before_ms + 999 <= times[0] <= after_ms + 1001
        assert [later - times[0] for later in times] == [0, 1000, 2000, 3000, 4000]
        wait_for_rows(client, 2)


def test_fields_of_get(local):
    with local.connect() as client:
        words = ["QUEUE", "q", "PRIORITY", "5", "NULL", "2", "local", "SELECT ?", "x"]
        assert client.call("CRON", "SET", "nightly", "0 3 * * *", "TZ", "Europe/Berlin", "MISFIRE",
                           "all", "SUBMIT", *words) == "OK"
        fields = get(client, "nightly")
        assert [wire.text(word) for word in fields.pop("command")] == words
        times = fields.pop("next")
        assert fields == {"name": "nightly", "expression": "0 3 * * *", "zone": "Europe/Berlin",
                          "misfire": "all", "last": None, "last_job": None, "error": None}
        assert len(times) == 5 and times == sorted(times) and times[0] > time.time() * 1000
        assert client.call("HELLO", "3")
        assert client.call("CRON", "GET", "nightly")["misfire"] == b"all"


def test_list_is_sorted_and_whole(local):
    with local.connect() as client:
        assert client.call("CRON", "LIST") == []
        names = [f"s{number:03}" for number in range(150)]
        for name in reversed(names):
            assert client.call("CRON", "SET", name, "@daily", "SUBMIT", *INSERT) == "OK"
        listed = [wire.as_map(one) for one in client.call("CRON", "LIST")]
        assert [wire.text(one["name"]) for one in listed] == names
        assert all(len(one["next"]) == 5 and wire.text(one["zone"]) == "UTC" for one in listed)
        assert client.call("CRON", "DEL", "s075") == 1
        assert client.call("CRON", "DEL", "s075") == 0
        assert len(client.call("CRON", "LIST")) == 149


def test_set_again_replaces(local):
    with local.connect() as client:
        table(client)
        set_every_second(client)
        wait_for_rows(client, 1)
        assert client.call("CRON", "SET", "tick", "@yearly", "SUBMIT", "local", "SELECT 2") == "OK"
        fields = get(client, "tick")
        assert fields["expression"] == "@yearly"
        assert fields["last"] is not None
        assert fields["command"] == [b"local", b"SELECT 2"]
        assert len(client.call("CRON", "LIST")) == 1


def test_run_now(local):
    with local.connect() as client:
        assert client.call("CRON", "SET", "yearly", "@yearly", "SUBMIT", "NULL", "2", "local",
                           "SELECT ? IS NULL AS n", "x") == "OK"
        before = get(client, "yearly")
        job = client.call("CRON", "RUN", "yearly")
        assert client.call("AWAIT", job) == [[b"n"], [b"1"]]
        assert get(client, "yearly") == before
        assert client.call("CRON", "RUN", "none") == \
            "ERR no schedule 'none'; CRON LIST shows them"


def test_errors(local):
    ten = ["a", "0 3 * * *"]
    job = ["SUBMIT", *INSERT]
    usage = "CRON SET <name> <expression> [TZ zone] [MISFIRE skip|once|all] SUBMIT ..."
    wrong = {
        ("FETCH", "x"): "ERR CRON takes SET, LIST, GET, DEL or RUN, not 'FETCH'",
        ("LIST", "x"): "ERR wrong number of arguments: CRON LIST",
        ("GET",): "ERR wrong number of arguments: CRON GET <name>",
        ("DEL", "x", "y"): "ERR wrong number of arguments: CRON DEL <name>",
        ("GET", "x"): "ERR no schedule 'x'; CRON LIST shows them",
        ("SET", "a"): f"ERR wrong number of arguments: {usage}",
        ("SET", *ten): f"ERR CRON SET lacks the job: {usage}",
        ("SET", *ten, "TZ"): "ERR TZ needs a value",
        ("SET", *ten, "TZ", "UTC", "TZ", "UTC", *job): "ERR TZ is given twice",
        ("SET", *ten, "MISFIRE", "skip", "MISFIRE", "all", *job): "ERR MISFIRE is given twice",
        ("SET", *ten, "MISFIRE", "twice", *job):
            "ERR MISFIRE needs skip, once or all, got 'twice'",
        ("SET", *ten, "ZONE", "UTC", *job):
            "ERR CRON SET has no option 'ZONE'; it takes TZ, MISFIRE and then SUBMIT with the job",
        ("SET", *ten, "TZ", "Mars/Olympus", *job):
            "ERR no time zone 'Mars/Olympus' in /usr/share/zoneinfo; see timedatectl "
            "list-timezones, or install tzdata",
        ("SET", *ten, "TZ", "../../etc/passwd", *job):
            "ERR '../../etc/passwd' is no time zone's name, such as Europe/Berlin",
        ("SET", "1st", "0 3 * * *", *job):
            "ERR CRON SET needs a schedule's name, but '1st' does not begin with a letter",
        ("SET", "a", "0 25 * * *", *job): "ERR hour: '25' is not from 0 to 23",
        ("SET", "a", "0 0 30 2 *", *job):
            "ERR day of month: no month of the expression has such a day, so it would never match",
        ("SET", "a", "0 0 * * *\0", *job): "ERR day of week: '*' is not from 0 to 7 or SUN-SAT",
        ("SET", *ten, "SUBMIT", "RETRY", "x", *INSERT):
            "ERR RETRY needs a number from 0 to 1000000, got 'x'",
        ("SET", *ten, "SUBMIT", "main", "SELECT 1"): "NOTARGET no target 'main'; known: local",
        ("SET", *ten, "SUBMIT", "local"): None,
        ("SET", *ten, "SUBMIT"): None,
    }
    for option in (["AT", "99999999999999"], ["AFTER", "1"], ["BIND", "2", "1", "0", "0"],
                   ["ONFAIL", "run"]):
        wrong["SET", *ten, "SUBMIT", *option, "local", "SELECT ?", "x"] = \
            f"ERR CRON SET takes no option {option[0]}: it names one moment or one job, and a " \
            "schedule makes many"
    with local.connect() as client:
        for words, message in wrong.items():
            reply = client.call("CRON", *words)
            assert isinstance(reply, wire.Error), (words, reply)
            assert message is None or reply == message, (words, reply)
        assert client.call("CRON") == "ERR wrong number of arguments for 'cron' command"
        assert client.call("CRON", "LIST") == []


def test_rights(make_daemon):
    daemon = make_daemon(extra="[socket reader]\npath = reader.sock\nallow = observe\n"
                               "[socket worker]\npath = worker.sock\nallow = work\n")
    text = daemon.configuration.read_text()
    for name in ("reader", "worker"):
        text = text.replace(f"path = {name}.sock", f"path = {daemon.folder}/{name}.sock")
    daemon.configure(text)
    daemon.start()
    with daemon.connect() as client:
        assert client.call("CRON", "SET", "a", "@daily", "SUBMIT", *INSERT) == "OK"
    with wire.Wire(daemon.folder / "reader.sock") as reader:
        assert len(reader.call("CRON", "LIST")) == 1
        assert wire.as_map(reader.call("CRON", "GET", "a"))["name"] == b"a"
        for words in (["RUN", "a"], ["DEL", "a"], ["SET", "a", "@daily", "SUBMIT", *INSERT]):
            assert reader.call("CRON", *words) == \
                f"NOPERM this socket does not allow CRON {words[0]} (allowed: observe)"
    with wire.Wire(daemon.folder / "worker.sock") as worker:
        assert worker.call("CRON", "LIST").word == "NOPERM"


def test_zone_of_the_configuration(make_daemon):
    daemon = make_daemon(settings="zone = Asia/Tokyo").start()
    with daemon.connect() as client:
        assert client.call("CRON", "SET", "a", "30 9 * * *", "SUBMIT", *INSERT) == "OK"
        fields = get(client, "a")
        assert fields["zone"] == "Asia/Tokyo"
        assert fields["next"][0] // 1000 % 86400 == 30 * 60
    daemon.stop()
    daemon.configure(daemon.configuration.read_text().replace("Tokyo", "Atlantis"))
    code, said = daemon.refuses_to_start()
    assert code == 1 and "[daemon] zone: no time zone 'Asia/Atlantis'" in said


def due_times_between(first_ms, last_ms):
    return (last_ms - first_ms) // 1000 + 1


def first_of_all(client):
    """Sets the schedule; the first of its due times, seen before it came."""
    while True:
        set_every_second(client, "tick", "MISFIRE", "all")
        fields = get(client, "tick")
        if fields["last"] is None:
            return fields["next"][0]
        client.call("CRON", "DEL", "tick")
        client.call("GATHER", *submissions(client))
        client.call("DELETE", "WHERE", "QUEUE", "timed")


def test_each_due_time_makes_one_job_across_kills(make_daemon):
    """MISFIRE all, kill -9 again and again: as many jobs as seconds between the first and last."""
    daemon = make_daemon().start()
    with daemon.connect() as client:
        table(client)
        first_ms = first_of_all(client)
    for pause_s in (1.2, 0.9, 1.6, 0.3):
        time.sleep(pause_s)
        daemon.kill()
        time.sleep(pause_s)
        daemon.start()
    with daemon.connect() as client:
        wait_until_caught_up(client, "tick")
        client.call("CRON", "SET", "tick", "@yearly", "SUBMIT", *INSERT)
        last_ms = get(client, "tick")["last"]
        jobs = submissions(client)
        assert len(jobs) == due_times_between(first_ms, last_ms)
        client.call("GATHER", *jobs)
        # a job that was running when the daemon was killed runs again
        assert rows(client) >= len(jobs)


def wait_until_caught_up(client, name):
    """Until no due time of it is left, and the jobs of those that were are stored."""
    process.wait_until(lambda: get(client, name)["next"][0] > time.time() * 1000 - 1000, 60,
                       "the schedule to have caught up")
    # commits are in order: when this one is answered, the schedule's are done
    assert client.call("CRON", "SET", "barrier", "@yearly", "SUBMIT", *INSERT) == "OK"


def down_for(daemon, seconds):
    """Stops it; the schedules' times are moved back by so much; starts it."""
    daemon.stop()
    with stored(daemon) as database:
        database.execute("UPDATE cron SET next_ms = next_ms - ?", (seconds * 1000,))
    daemon.start()


@pytest.mark.parametrize("policy, jobs", [("skip", 0), ("once", 1), ("all", 60)])
def test_misfire(make_daemon, policy, jobs):
    """Sixty hours of a schedule for each hour were missed."""
    daemon = make_daemon().start()
    with daemon.connect() as client:
        table(client)
        assert client.call("CRON", "SET", "m", "@every 1h", "MISFIRE", policy, "SUBMIT", "QUEUE",
                           "timed", *INSERT) == "OK"
        next_ms = get(client, "m")["next"][0]
    down_for(daemon, 60 * 3600)
    with daemon.connect() as client:
        wait_until_caught_up(client, "m")
        fields = get(client, "m")
        made = submissions(client)
        assert len(made) == jobs
        assert policy != "all" or fields["next"][0] == next_ms
        if policy == "skip":
            assert fields["last"] is None
            assert "schedule m: missed its time: skipped" in daemon.output()
        else:
            missed_hours = 60 if policy == "once" else 1
            assert fields["last"] == next_ms - missed_hours * 3600 * 1000
            assert int(fields["last_job"]) == max(made)
    daemon.restart()
    with daemon.connect() as client:
        assert submissions(client).keys() == made.keys()


def test_misfire_all_has_an_end(make_daemon):
    daemon = make_daemon().start()
    with daemon.connect() as client:
        table(client)
        set_every_second(client, "tick", "MISFIRE", "all")
    down_for(daemon, 7200)
    with daemon.connect() as client:
        wait_until_caught_up(client, "tick")
        client.call("CRON", "DEL", "tick")
        made = len(submissions(client))
        assert 1000 <= made < 1200
        assert "schedule tick: missed more than 1000 times: the rest is skipped" in daemon.output()


def test_clock_that_had_been_ahead(make_daemon):
    """A next time a year ahead of an expression that is due each minute: the clock was wrong."""
    daemon = make_daemon().start()
    with daemon.connect() as client:
        table(client)
        assert client.call("CRON", "SET", "m", "* * * * *", "SUBMIT", *INSERT) == "OK"
    down_for(daemon, -365 * 86400)
    with daemon.connect() as client:
        assert get(client, "m")["next"][0] <= time.time() * 1000 + 60000
        assert "schedule m: the clock was set back by hours" in daemon.output()


def test_a_target_that_is_gone(make_daemon):
    daemon = make_daemon(targets=daemon_module.LOCAL
                         + daemon_module.target("gone", "sqlite", path="gone.db")).start()
    with daemon.connect() as client:
        table(client)
        assert client.call("CRON", "SET", "g", EVERY_SECOND, "SUBMIT", "gone", "SELECT 1") == "OK"
        set_every_second(client)
    daemon.stop()
    daemon.configure(daemon.configuration.read_text().replace("[target gone]", "[target other]"))
    daemon.start()
    with daemon.connect() as client:
        process.wait_until(lambda: get(client, "g")["error"] is not None, 30, "the error")
        assert get(client, "g")["error"].startswith("NOTARGET no target 'gone'")
        at_ms = get(client, "g")["next"][0]
        wait_for_rows(client, rows(client) + 2)
        assert get(client, "g")["next"][0] > at_ms
        assert client.call("CRON", "RUN", "g").word == "NOTARGET"
    assert daemon.output().count("schedule g: no job") == 1


def test_a_zone_that_is_gone(make_daemon):
    daemon = make_daemon().start()
    with daemon.connect() as client:
        assert client.call("CRON", "SET", "z", EVERY_SECOND, "TZ", "Europe/Berlin", "SUBMIT",
                           *INSERT) == "OK"
    daemon.stop()
    with stored(daemon) as database:
        database.execute("UPDATE cron SET zone = 'Europe/Atlantis'")
    daemon.start()
    with daemon.connect() as client:
        fields = get(client, "z")
        assert "no time zone 'Europe/Atlantis'" in fields["error"]
        assert fields["next"] == []
        assert client.call("CRON", "SET", "z", "@daily", "SUBMIT", *INSERT) == "OK"
        assert get(client, "z")["error"] is None


def test_ten_thousand_schedules_and_no_more(make_daemon):
    daemon = make_daemon().start()
    with daemon.connect() as client:
        assert client.call("CRON", "SET", "first", "@yearly", "SUBMIT", *INSERT) == "OK"
    daemon.stop()
    with stored(daemon) as database:
        for number in range(9998):
            database.execute("INSERT INTO cron SELECT 'n' || ?, expression, zone, misfire, "
                             "next_ms, last_ms, last_job, request FROM cron WHERE name = 'first'",
                             (number,))
    daemon.start()
    with daemon.connect() as client:
        assert len(client.call("CRON", "LIST")) == 9999
        assert client.call("CRON", "SET", "last", "@yearly", "SUBMIT", *INSERT) == "OK"
        full = "FULL there are 10000 schedules, the most there can be; delete one first"
        assert client.call("CRON", "SET", "more", "@yearly", "SUBMIT", *INSERT) == full
        assert client.call("CRON", "SET", "last", "@daily", "SUBMIT", *INSERT) == "OK"
        assert client.call("CRON", "DEL", "n5000") == 1
        assert client.call("CRON", "SET", "more", "@yearly", "SUBMIT", *INSERT) == "OK"
        assert len(client.call("CRON", "LIST")) == 10000


def test_a_large_job_is_refused(local):
    with local.connect() as client:
        big = "x" * (1024 * 1024)
        assert client.call("CRON", "SET", "a", "@daily", "SUBMIT", "local", "SELECT ?", big) == \
            "ERR a schedule's job may have at most 1024 KiB"


def test_one_name_from_many_clients(local):
    """Sets and deletes of one name at once: each is answered, and the last word counts."""
    clients = [local.connect() for _ in range(8)]
    for index, client in enumerate(clients * 5):
        if index % 4 == 3:
            client.send("CRON", "DEL", "a")
        else:
            client.send("CRON", "SET", "a", f"{index} 3 * * *", "SUBMIT", *INSERT)
    for index, client in enumerate(clients * 5):
        assert client.read() in ("OK", 0, 1)
    listed = clients[0].call("CRON", "LIST")
    assert len(listed) <= 1
    before = [wire.as_map(one)["expression"] for one in listed]
    for client in clients:
        client.close()
    local.restart()
    with local.connect() as client:
        assert [wire.as_map(one)["expression"] for one in client.call("CRON", "LIST")] == before
