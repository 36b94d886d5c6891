"""test_coalesce.py - several PostgreSQL or SQLite jobs in one transaction: rows are exactly the
jobs', and whoever fails fails alone, whatever is killed or cut."""

import psycopg2

from harness import daemon as daemon_module
from harness import process, proxy, wire
from test_exactly_once import CLEANED, LONG, SEED, Chaos, receipts_of, terminate_sessions

WIDE = "[queue default]\nconcurrency = 300\nretry = 2\nbackoff_min = 1ms\nbackoff_max = 5ms\n"


def gathering(uri, delivery="at-least-once", **keys):
    return daemon_module.target("main", "postgres", uri=uri, delivery=delivery, coalesce=64, **keys)


def fails(number):
    return number % 50 == 49


def job_of(client, job):
    return wire.as_map(client.call("JOB", job))


@LONG
def test_chaos_with_one_failing_in_fifty(make_daemon, postgres):
    table = f"coalesce_{SEED}"
    postgres.query(f"CREATE TABLE {table} (n int CHECK (n % 50 <> 49))")
    between = proxy.Proxy(postgres.port, SEED)
    uri = postgres.uri_at(between.port)
    own = make_daemon(gathering(uri, "exactly-once", connections=3, **CLEANED), WIDE).start()
    chaos = Chaos(own, lambda number: ("main", f"INSERT INTO {table} VALUES ($1)", str(number)),
                  lambda chance: terminate_sessions(postgres, chance))
    between.cutting = True
    try:
        chaos.run(lambda: between.cuts > 0)
        between.cutting = False
        bad = {number for number in chaos.jobs if fails(number)}
        assert chaos.states() == {"done": len(chaos.jobs) - len(bad), "dead": len(bad)}
        with own.connect() as client:
            for number in bad:
                fields = job_of(client, chaos.jobs[number])
                assert fields["state"] == b"dead" and b"23514" in fields["error"], fields
        rows = [number for number, in postgres.query(f"SELECT n FROM {table} ORDER BY n")]
        assert rows == sorted(set(chaos.jobs) - bad)
        assert between.cuts > 0, "nothing was cut: the test tested nothing"
        transactions = postgres.value(f"SELECT count(DISTINCT xmin::text) FROM {table}")
        assert transactions < len(rows), "nothing was gathered: the test tested nothing"
        process.wait_until(lambda: receipts_of(postgres, chaos.jobs) == 0, 120,
                           "the receipts of finished jobs to be deleted")
    finally:
        between.close()
    own.stop()


@LONG
def test_sqlite_chaos_with_one_failing_in_fifty(make_daemon):
    own = make_daemon(daemon_module.target("local", "sqlite", path="local.db", coalesce=64,
                                           delivery="exactly-once", **CLEANED), WIDE).start()
    with own.connect() as client:
        client.call("RUN", "local", "CREATE TABLE t(n INTEGER CHECK (n % 50 <> 49))")
    chaos = Chaos(own, lambda number: ("local", "INSERT INTO t VALUES (?)", str(number)),
                  lambda chance: None)
    chaos.run()
    bad = {number for number in chaos.jobs if fails(number)}
    assert chaos.states() == {"done": len(chaos.jobs) - len(bad), "dead": len(bad)}
    with own.connect() as client:
        for number in bad:
            fields = job_of(client, chaos.jobs[number])
            assert fields["state"] == b"dead" and b"SQLITE_CONSTRAINT_CHECK" in fields["error"]
        rows = client.call("RUN", "local", "SELECT n FROM t ORDER BY n")[1:]
        assert [int(row[0]) for row in rows] == sorted(set(chaos.jobs) - bad)
        process.wait_until(lambda: client.call("RUN", "local", "SELECT count(*) FROM "
                                               "awaitd_receipt")[1] == [b"0"], 120,
                           "the receipts of finished jobs to be deleted")
    own.stop()


def test_sqlite_only_the_guilty_are_charged(make_daemon):
    """Also for jobs that want to gather by themselves, on a target that does not."""
    own = make_daemon(daemon_module.target("local", "sqlite", path="local.db"), WIDE).start()
    commands = []
    for number in range(500):
        commands.append(("SUBMIT", "COALESCE", "64", "local", "INSERT INTO t VALUES (?)",
                         str(number)))
        if number % 100 == 0:
            commands.append(("SUBMIT", "COALESCE", "64", "local", "VACUUM"))
            commands.append(("SUBMIT", "COALESCE", "64", "local", "SELECT count(*) FROM t"))
            commands.append(("SUBMIT", "local", "INSERT INTO t VALUES (?)", str(1000 + number)))
    with own.connect() as client:
        client.call("RUN", "local", "CREATE TABLE t(n INTEGER CHECK (n % 50 <> 49))")
        ids = client.pipeline(commands)
        client.call("GATHER", *ids)
        for command, job in zip(commands, ids):
            fields = job_of(client, job)
            bad = command[-1].isdigit() and fails(int(command[-1]))
            assert fields["state"] == (b"dead" if bad else b"done"), (command, fields)
            assert fields["attempts"] == 1, (command, fields)
            assert fields["coalesce"] == (64 if "COALESCE" in command else None)
        assert client.call("RUN", "local", "SELECT count(DISTINCT n) FROM t")[1] == [b"495"]
    own.stop()


def test_at_least_once_only_the_guilty_are_charged(make_daemon, postgres, table):
    postgres.query(f"ALTER TABLE {table} ADD CHECK (v NOT LIKE '%bad')")
    postgres.query(f"CREATE PROCEDURE two(n text) LANGUAGE plpgsql AS $$ BEGIN INSERT INTO {table} "
                   f"(v) VALUES ('a' || n); COMMIT; INSERT INTO {table} (v) VALUES ('b' || n); "
                   "END $$")
    own = make_daemon(gathering(postgres.uri), WIDE).start()
    insert = f"INSERT INTO {table} (v) VALUES ($1)"
    commands = []
    for number in range(1000):
        commands.append(("SUBMIT", "main", insert, f"{number}{'bad' if fails(number) else ''}"))
        if number % 100 == 0:
            commands.append(("SUBMIT", "main", "CALL two($1)", str(number)))
            commands.append(("SUBMIT", "main", f"VACUUM {table}"))
            commands.append(("SUBMIT", "main", "TX", "2", insert, "1", f"c{number}", insert, "1",
                             f"d{number}"))
    with own.connect() as client:
        ids = client.pipeline(commands)
        answers = client.call("GATHER", *ids)
        for command, job, answer in zip(commands, ids, answers):
            fields = job_of(client, job)
            bad = command[-1].endswith("bad")
            assert fields["state"] == (b"dead" if bad else b"done"), (command, fields)
            assert fields["attempts"] == 1, (command, fields)
            assert isinstance(answer, wire.Error) == bad, answer
    assert postgres.value(f"SELECT count(*) FROM {table} WHERE v ~ '^[0-9]+$'") == 980
    assert postgres.value(f"SELECT count(DISTINCT v) FROM {table} WHERE v ~ '^[0-9]+$'") == 980
    assert postgres.value(f"SELECT count(*) FROM {table}") == 980 + 10 * 4
    assert postgres.value(f"SELECT count(DISTINCT xmin::text) FROM {table}") < 500
    own.stop()


def test_cancel_of_one_in_a_batch(make_daemon, postgres, table):
    """The batch waits at a lock when one of it is cancelled: the others are done all the same."""
    own = make_daemon(gathering(postgres.uri, connections=1), WIDE).start()
    insert = f"INSERT INTO {table} (v) VALUES ($1)"
    gate = psycopg2.connect(postgres.uri)
    gate.cursor().execute(f"CREATE TABLE IF NOT EXISTS gate_{table} (v int)")
    gate.commit()
    gate.cursor().execute(f"LOCK TABLE gate_{table}")
    with own.connect() as client:
        client.call("AWAIT", client.call("SUBMIT", "main", "SELECT 1"))
        ids = client.pipeline(
            [("SUBMIT", "main", f"INSERT INTO {table} (v) SELECT 'gate' FROM gate_{table}")] +
            [("SUBMIT", "main", insert, str(number)) for number in range(20)])
        process.wait_until(lambda: postgres.value(
            "SELECT count(*) FROM pg_locks WHERE NOT granted") >= 1, 30, "the batch to wait")
        assert client.call("CANCEL", ids[5]) == 1
        process.wait_until(lambda: job_of(client, ids[5])["state"] == b"cancelled", 30,
                           "the job to be cancelled")
        gate.commit()
        client.call("GATHER", *ids)
        for index, job in enumerate(ids):
            fields = job_of(client, job)
            assert fields["state"] == (b"cancelled" if index == 5 else b"done"), fields
            assert fields["attempts"] == (index != 5), fields
    gate.close()
    rows = postgres.query(f"SELECT v FROM {table} ORDER BY v")
    assert [v for v, in rows] == sorted(str(number) for number in range(20) if number != 4)
    own.stop()
