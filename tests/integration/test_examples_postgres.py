"""test_examples_postgres.py - the examples that need a PostgreSQL server: notifications, copy."""

import subprocess
import threading

import psycopg2
import pytest

from harness import daemon


@pytest.fixture(name="server")
def server_of(postgres):
    return postgres


def ask(server, sql):
    with psycopg2.connect(server.uri) as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall() if cursor.description else None


def test_notifications_are_told_and_so_is_a_lost_connection(server):
    with subprocess.Popen([str(daemon.BUILD / "examples/notifications"), server.uri, "2"],
                          stdout=subprocess.PIPE, text=True) as program:
        guard = threading.Timer(120, program.kill)
        guard.start()
        try:
            assert program.stdout.readline() == "reading everything anew\n"
            ask(server, "NOTIFY jobs, 'one'")
            assert program.stdout.readline() == "jobs: one\n"
            ask(server, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                        "WHERE query LIKE 'LISTEN%'")
            assert program.stdout.readline() == "reading everything anew\n"
            ask(server, "NOTIFY jobs, 'two'")
            assert program.stdout.readline() == "jobs: two\n"
            assert program.wait(60) == 0
        finally:
            guard.cancel()
            program.kill()


def copy(server, text):
    return subprocess.run([str(daemon.BUILD / "examples/copy"), server.uri], input=text,
                          capture_output=True, text=True, timeout=120, check=False)


def test_copy_brings_all_rows_in_and_out(server):
    done = copy(server, "".join(f"line {i}\n" for i in range(200000)))
    assert done.stderr == ""
    assert done.stdout == "200000 rows in\n200000 rows out\n"
    assert done.returncode == 0
    assert ask(server, "SELECT count(*), min(line) FROM lines") == [(200000, "line 0")]


def test_copy_of_a_bad_line_brings_in_none(server):
    done = copy(server, "good\nbad\twith a second column\n")
    assert done.returncode == 1
    assert "extra data after last expected column" in done.stderr
    assert ask(server, "SELECT count(*) FROM lines") == [(0,)]
