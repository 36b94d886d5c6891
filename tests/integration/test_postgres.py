"""test_postgres.py - the postgres target: results, parameters, SQLSTATEs, hostile statements."""

import time

import psycopg2
import pytest

from harness import daemon, process, wire


def test_statement_without_rows_is_a_status_line(client, table):
    job = client.call("SUBMIT", "main", f"INSERT INTO {table}(v) VALUES ($1)", "hello")
    assert client.call("AWAIT", job) == "INSERT 0 1"
    assert client.call("AWAIT", job) == "INSERT 0 1", "a result can be asked for again"
    assert client.call("RUN", "main", f"UPDATE {table} SET v = v || $1", "!") == "UPDATE 1"
    assert client.call("RUN", "main", f"DELETE FROM {table}") == "DELETE 1"


def test_rows_are_columns_then_rows(client):
    assert client.call("RUN", "main", "SELECT 1 AS one") == [[b"one"], [b"1"]]
    reply = client.call("RUN", "main", "SELECT n, NULL AS x FROM generate_series(1, 3) AS g(n)")
    assert reply == [[b"n", b"x"], [b"1", None], [b"2", None], [b"3", None]]
    assert client.call("RUN", "main", "SELECT 1 AS one WHERE false") == [[b"one"]]


def test_parameters(client):
    reply = client.call("RUN", "main", "SELECT $1::int + $2::int AS sum, $3 AS t", "40", "2", "ß")
    assert reply == [[b"sum", b"t"], [b"42", "ß".encode()]]


def test_insert_returning(client, table):
    reply = client.call("RUN", "main", f"INSERT INTO {table}(v) VALUES ('a') RETURNING v")
    assert reply == [[b"v"], [b"a"]]


def test_gather_of_three_sleeps(client):
    begin = time.monotonic()
    jobs = [client.call("SUBMIT", "main", "SELECT pg_sleep(1)") for _ in range(3)]
    replies = client.call("GATHER", *jobs)
    assert [reply[0] for reply in replies] == [[b"pg_sleep"]] * 3
    assert time.monotonic() - begin >= 0.99


def test_three_statements_run_at_the_same_time(client, postgres):
    """Each waits for what only the test can give, and the server says that all three wait."""
    keeper = psycopg2.connect(postgres.uri)
    try:
        with keeper.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(815)")
        jobs = [client.call("SUBMIT", "main", "SELECT pg_advisory_xact_lock_shared(815) "
                            "/* together */") for _ in range(3)]
        process.wait_until(lambda: active(postgres, "together") == 3, 60, "all three to run")
    finally:
        keeper.close()
    assert not any(isinstance(reply, wire.Error) for reply in client.call("GATHER", *jobs))


ERRORS = [
    ("SELEC 1", "42601"),
    ("SELECT * FROM nosuch", "42P01"),
    ("SELECT 1/0", "22012"),
    ("SELECT $1::int", "22P02"),
    ("SELECT nosuch(1)", "42883"),
]


@pytest.mark.parametrize(("sql", "code"), ERRORS)
def test_wrong_statement_is_dead_at_once(client, sql, code):
    arguments = ["abc"] if "$1" in sql else []
    job = client.call("SUBMIT", "RETRY", "5", "main", sql, *arguments)
    assert client.call("AWAIT", job).startswith(f"FAILED {code} ")
    fields = wire.as_map(client.call("JOB", job))
    assert wire.text(fields["state"]) == "dead"
    assert int(fields["attempts"]) == 1
    assert code in repr(fields["error"])


def test_constraint_is_dead_at_once(client, table):
    sql = f"INSERT INTO {table}(v) VALUES ($1)"
    assert client.call("RUN", "main", sql, "same") == "INSERT 0 1"
    assert client.call("RUN", "main", sql, "same").startswith("FAILED 23505 ")


def test_wrong_number_of_parameters(client):
    assert isinstance(client.call("RUN", "main", "SELECT $1::text, $2::text", "one"), wire.Error)
    assert isinstance(client.call("RUN", "main", "SELECT 1", "surplus"), wire.Error)
    assert client.call("RUN", "main", "SELECT 1 AS one") == [[b"one"], [b"1"]]


def test_deferred_constraint_fails_at_commit(client, postgres):
    postgres.query("DROP TABLE IF EXISTS deferred")
    postgres.query("CREATE TABLE deferred (v int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
    assert client.call("RUN", "main", "INSERT INTO deferred VALUES (1)") == "INSERT 0 1"
    assert client.call("RUN", "main", "INSERT INTO deferred VALUES (1)").startswith("FAILED 23505 ")
    assert postgres.value("SELECT count(*) FROM deferred") == 1


FLAKY = """
CREATE OR REPLACE FUNCTION {name}(failures int, code text) RETURNS text AS $$
BEGIN
    IF nextval('{name}_calls') <= failures THEN
        RAISE EXCEPTION 'not yet' USING ERRCODE = code;
    END IF;
    RETURN 'finally';
END $$ LANGUAGE plpgsql
"""


@pytest.fixture
def flaky(postgres, table):
    """A function that fails with an SQLSTATE the first times (a sequence does not roll back)."""
    name = f"flaky_{table}"
    postgres.query(f"CREATE SEQUENCE {name}_calls")
    postgres.query(FLAKY.format(name=name))
    return name


@pytest.mark.parametrize("code", ["40001", "40P01", "55P03", "53300"])
def test_passing_failure_is_retried(client, flaky, code):
    job = client.call("SUBMIT", "RETRY", "5", "BACKOFF", "10", "50", "main",
                      f"SELECT {flaky}(2, '{code}') AS answer")
    assert client.call("AWAIT", job) == [[b"answer"], [b"finally"]]
    assert int(wire.as_map(client.call("JOB", job))["attempts"]) == 3


def test_retries_run_out(client, flaky, postgres):
    job = client.call("SUBMIT", "RETRY", "1", "BACKOFF", "10", "50", "main",
                      f"SELECT {flaky}(1000, '40001')")
    assert client.call("AWAIT", job).startswith("FAILED 40001 ")
    fields = wire.as_map(client.call("JOB", job))
    assert wire.text(fields["state"]) == "dead"
    assert int(fields["attempts"]) == 2
    assert postgres.value(f"SELECT last_value FROM {flaky}_calls") == 2


def test_timeout_cancels_on_the_server(client, postgres):
    reply = client.call("RUN", "TIMEOUT", "200", "main", "SELECT pg_sleep(3600) /* timeout */")
    assert reply.word == "TIMEOUT", reply
    process.wait_until(lambda: not active(postgres, "timeout"), 20, "the statement to be cancelled")
    assert client.call("RUN", "main", "SELECT 1 AS one") == [[b"one"], [b"1"]]


def test_cancel_of_a_running_job_reaches_the_server(client, postgres):
    job = client.call("SUBMIT", "main", "SELECT pg_sleep(3600) /* cancelme */")
    process.wait_until(lambda: active(postgres, "cancelme"), 20, "the statement to run")
    assert client.call("CANCEL", job) == 1
    assert client.call("AWAIT", job).word == "CANCELLED"
    process.wait_until(lambda: not active(postgres, "cancelme"), 20, "the statement to end")


def active(postgres, mark):
    return postgres.value("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query "
                          "LIKE %s AND pid <> pg_backend_pid()", f"%/* {mark} */%")


HOSTILE = [
    "COPY hostile FROM STDIN",
    "COPY (SELECT 1) TO STDOUT",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "START TRANSACTION",
    "CALL committing()",
    "DO $$ BEGIN COMMIT; END $$",
    "SELECT 1; SELECT 2",
    "",
    ";",
    "SELECT pg_terminate_backend(pg_backend_pid())",
]


@pytest.mark.parametrize("sql", HOSTILE)
def test_hostile_statement_harms_nobody_else(client, postgres, table, sql):
    """Whatever it answers, it answers, and the jobs that share the connection are not lost."""
    postgres.query("CREATE TABLE IF NOT EXISTS hostile (v int)")
    postgres.query("CREATE OR REPLACE PROCEDURE committing() AS $$ BEGIN COMMIT; END $$ "
                   "LANGUAGE plpgsql")
    insert = f"INSERT INTO {table}(v) VALUES ($1)"
    jobs = []
    for number in range(20):
        jobs.append(client.call("SUBMIT", "main", insert, f"before {number}"))
        if number % 5 == 0:
            client.call("RUN", "TIMEOUT", "5000", "main", sql)
    assert client.call("GATHER", *jobs) == ["INSERT 0 1"] * 20
    assert client.call("RUN", "main", insert, "after") == "INSERT 0 1"
    assert postgres.value(f"SELECT count(*) FROM {table}") == 21


def test_nul_bytes_are_refused_and_the_connection_lives(client):
    assert isinstance(client.call("RUN", "main", "SELECT $1::text", b"a\x00b"), wire.Error)
    assert isinstance(client.call("RUN", "main", b"SELECT 1\x00, 2"), wire.Error)
    assert isinstance(client.call("RUN", "main", "SELECT $1::text", b"\xff\xfe"), wire.Error)
    assert client.call("RUN", "main", "SELECT 1 AS one") == [[b"one"], [b"1"]]


def test_binary_comes_back_as_text_form(client):
    reply = client.call("RUN", "main", "SELECT $1::bytea AS b", "\\x00ff0d0a")
    assert reply == [[b"b"], [b"\\x00ff0d0a"]]


def test_result_too_big_is_an_error_and_memory_stays_bounded(three, client):
    reply = client.call("RUN", "main",
                        "SELECT repeat('x', 10000) FROM generate_series(1, 50000)")
    assert isinstance(reply, wire.Error) and "RESULTTOOBIG" in reply, str(reply)[:200]
    if not daemon.sanitized():
        assert three.resident_bytes() < 300 << 20
    assert client.call("RUN", "main", "SELECT 1 AS one") == [[b"one"], [b"1"]]


def test_hundreds_of_jobs_share_few_connections(three, client, postgres, table):
    insert = f"INSERT INTO {table}(v) VALUES ($1)"
    jobs = client.pipeline(("SUBMIT", "main", insert, str(number)) for number in range(500))
    assert client.call("GATHER", *jobs) == ["INSERT 0 1"] * 500
    assert postgres.value(f"SELECT count(*) FROM {table}") == 500
    connections = postgres.value("SELECT count(*) FROM pg_stat_activity "
                                 "WHERE client_port IS NOT NULL AND pid <> pg_backend_pid()")
    assert connections <= 8, "the target's default is 8"


def test_unix_socket_uri(make_daemon, postgres):
    if postgres.socket_uri is None:
        pytest.skip("the server's socket is inside its container")
    three = make_daemon(daemon.target("main", "postgres", uri=postgres.socket_uri)).start()
    with three.connect() as client:
        assert client.call("RUN", "main", "SELECT 1 AS one") == [[b"one"], [b"1"]]
