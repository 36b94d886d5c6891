"""test_lease.py - leased connections: ENTER, RUN on a connection of one's own, EXIT, and every way
a lease can end, on PostgreSQL. The other engines: test_lease_engines.py."""

import threading

import pytest

from harness import daemon, process, wire
from harness.leasing import (  # noqa: F401 (fixtures)
    begin_briefly, client, count, lease_target, leases_held, leasing, open_transactions,
    run, values, wait_free)


def test_exit_rolls_back_what_is_open(client, postgres, table):
    assert client.call("ENTER", "main") == "OK"
    assert run(client, "BEGIN") == "BEGIN"
    assert run(client, f"INSERT INTO {table}(v) VALUES ($1)", "a") == "INSERT 0 1"
    assert values(run(client, f"SELECT v FROM {table}")) == [b"a"], "the client sees its own row"
    assert count(postgres, table) == 0
    assert client.call("EXIT") == "ROLLBACK"
    assert count(postgres, table) == 0
    assert open_transactions(postgres) == 0


def test_commit_stays(client, postgres, table):
    assert client.call("ENTER", "main") == "OK"
    for number in range(3):
        assert run(client, "BEGIN") == "BEGIN"
        assert run(client, f"INSERT INTO {table}(v) VALUES ($1)", number) == "INSERT 0 1"
        assert run(client, "COMMIT") == "COMMIT"
    assert client.call("EXIT", "main") == "OK"
    assert count(postgres, table) == 3
    assert client.call("RUN", "main", "BEGIN").startswith("ERR "), "the lease is over"


def test_all_in_one_pipeline_in_order(client, postgres, table):
    replies = client.pipeline([("ENTER", "main"), ("RUN", "main", "BEGIN"),
                               ("RUN", "main", f"INSERT INTO {table}(v) VALUES ('a')"),
                               ("RUN", "main", f"SELECT v FROM {table}"),
                               ("RUN", "main", "COMMIT"), ("EXIT",), ("PING",)])
    assert replies == ["OK", "BEGIN", "INSERT 0 1", [[b"v"], [b"a"]], "COMMIT", "OK", "PONG"]
    assert count(postgres, table) == 1


def test_savepoints_and_a_failed_transaction(client, postgres, table):
    insert = f"INSERT INTO {table}(v) VALUES ($1)"
    client.call("ENTER", "main")
    run(client, "BEGIN")
    run(client, insert, "kept")
    assert run(client, "SAVEPOINT s") == "SAVEPOINT"
    assert run(client, insert, "kept").startswith("FAILED 23505 ")
    assert run(client, "SELECT 1").startswith("FAILED 25P02 "), "as PostgreSQL has it"
    assert run(client, "ROLLBACK TO s") == "ROLLBACK"
    assert run(client, "COMMIT") == "COMMIT"
    run(client, "BEGIN")
    assert run(client, "SELECT 1/0").startswith("FAILED 22012 ")
    assert run(client, "COMMIT") == "ROLLBACK"
    assert client.call("EXIT") == "OK"
    assert count(postgres, table) == 1


def test_nothing_of_the_session_leaks(client, leasing, postgres):
    with leasing.connect() as other:
        for one in (client, other):  # both lease connections, again and again
            for _ in range(3):
                assert one.call("ENTER", "main") == "OK"
                assert values(run(one, "SELECT count(*) FROM pg_class WHERE relname = 'leaky'")) \
                    == [b"0"]
                assert values(run(one, "SELECT current_setting('work_mem')")) != [b"77777kB"]
                assert run(one, "SET work_mem = '77777kB'") == "SET"
                assert values(run(one, "SELECT current_setting('work_mem')")) == [b"77777kB"]
                assert run(one, "CREATE TEMP TABLE leaky (n int)") == "CREATE TABLE"
                assert run(one, "PREPARE mine AS SELECT 1") == "PREPARE"
                assert values(run(one, "EXECUTE mine")) == [b"1"]
                assert values(run(one, "SELECT pg_try_advisory_lock(4711)")) == [b"t"]
                assert run(one, "SET SESSION AUTHORIZATION pg_monitor") == "SET"
                assert one.call("EXIT") == "OK"
                assert postgres.value("SELECT count(*) FROM pg_locks "
                                      "WHERE locktype = 'advisory'") == 0
    jobs = [client.call("SUBMIT", "main", "SELECT current_setting('work_mem'), current_user, "
                        "(SELECT count(*) FROM pg_prepared_statements WHERE name = 'mine'), "
                        "pg_sleep(0.05)") for _ in range(12)]
    for reply in client.call("GATHER", *jobs):
        assert reply[1][0] != b"77777kB"
        assert reply[1][1:3] == [b"postgres", b"0"]


def test_prepared_statements_of_jobs_survive_a_lease(client):
    """DISCARD ALL drops what the pool had prepared on the connection: it must know."""
    for _ in range(4):
        for _ in range(8):
            assert values(run(client, "SELECT $1::int + 1", "41")) == [b"42"]
        assert client.call("ENTER", "main") == "OK"
        assert values(run(client, "SELECT $1::int + 1", "41")) == [b"42"]
        assert run(client, "DEALLOCATE ALL") == "DEALLOCATE ALL"
        assert client.call("EXIT") == "OK"


def test_two_clients_are_isolated(client, leasing, table):
    with leasing.connect() as other:
        for one in (client, other):
            assert one.call("ENTER", "main") == "OK"
            assert run(one, "BEGIN") == "BEGIN"
        run(client, f"INSERT INTO {table}(v) VALUES ('mine')")
        assert values(run(other, f"SELECT v FROM {table}")) == []
        first = values(run(client, "SELECT pg_backend_pid()"))
        assert first != values(run(other, "SELECT pg_backend_pid()"))
        assert first == values(run(client, "SELECT pg_backend_pid()"))
        assert run(client, "COMMIT") == "COMMIT"
        assert values(run(other, f"SELECT v FROM {table}")) == [b"mine"]


STEPS = [("ENTER", "main"), ("RUN", "main", "BEGIN"),
         ("RUN", "main", "INSERT INTO {table}(v) VALUES ('a')"),
         ("RUN", "main", "SAVEPOINT s"), ("RUN", "main", "SELECT 1/0"),
         ("RUN", "main", "SELECT pg_sleep(600)")]


@pytest.mark.parametrize("steps", range(1, len(STEPS) + 1))
def test_disconnect_after_each_step_rolls_back(leasing, postgres, table, steps):
    for wait_for_replies in (True, False):
        with leasing.connect() as one:
            for step in STEPS[:steps]:
                one.send(*[word.format(table=table) for word in step])
                if wait_for_replies and "pg_sleep" not in step[-1]:
                    one.read()
            if wait_for_replies and steps == len(STEPS):
                # failed transactions refuse the sleep at once
                assert one.read().startswith("FAILED 25P02 ")
        wait_free(leasing)
        assert count(postgres, table) == 0
        assert open_transactions(postgres) == 0
    with leasing.connect() as one:
        assert one.call("ENTER", "main") == "OK", "and the connection serves the next"
        assert values(run(one, "SELECT 1")) == [b"1"]


def test_disconnect_cancels_the_statement_that_runs(leasing, postgres, table):
    one = leasing.connect()
    one.call("ENTER", "main")
    run(one, "BEGIN")
    run(one, f"INSERT INTO {table}(v) VALUES ('a')")
    one.send("RUN", "main", "SELECT pg_sleep(600) /* cancelled */")
    running = ("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND "
               "query LIKE 'SELECT pg_sleep(600) /* cancelled%%'")
    process.wait_until(lambda: postgres.value(running) == 1, 60, "the statement to run")
    one.close()
    wait_free(leasing)
    assert postgres.value(running) == 0
    assert count(postgres, table) == 0


def test_deadline_rolls_back_and_says_so(client, postgres, table):
    said = begin_briefly(client, "main", ("BEGIN",), (f"INSERT INTO {table}(v) VALUES ('a')",))
    process.wait_until(lambda: open_transactions(postgres) == 0, 60, "the deadline")
    assert run(client, "COMMIT") == said
    assert run(client, f"INSERT INTO {table}(v) VALUES ('outside')") == said, "until EXIT"
    assert client.call("EXIT") == said
    assert count(postgres, table) == 0
    assert run(client, f"INSERT INTO {table}(v) VALUES ('b')") == "INSERT 0 1"
    assert client.call("ENTER", "main") == "OK"


def test_deadline_stops_the_statement_that_runs(client, leasing, table):
    said = begin_briefly(client, "main", ("BEGIN",), (f"INSERT INTO {table}(v) VALUES ('a')",))
    assert run(client, "SELECT pg_sleep(600)") == said
    assert leases_held(leasing) == 0


def test_timeout_of_a_statement_leaves_the_lease(client, postgres, table):
    client.call("ENTER", "main")
    run(client, "BEGIN")
    run(client, f"INSERT INTO {table}(v) VALUES ('a')")
    run(client, "SAVEPOINT s")
    assert client.call("RUN", "TIMEOUT", "100", "main", "SELECT pg_sleep(600)") == \
        "TIMEOUT ran longer than 100 ms"
    assert run(client, "ROLLBACK TO s") == "ROLLBACK"
    assert run(client, "COMMIT") == "COMMIT"
    assert client.call("EXIT") == "OK"
    assert count(postgres, table) == 1


def test_killed_backend_ends_the_lease(client, leasing, postgres, table):
    client.call("ENTER", "main")
    run(client, "BEGIN")
    run(client, f"INSERT INTO {table}(v) VALUES ('a')")
    backend = int(values(run(client, "SELECT pg_backend_pid()"))[0])
    assert postgres.value("SELECT pg_terminate_backend(%s)", backend)
    wait_free(leasing)
    reply = run(client, "COMMIT")
    assert reply.startswith("UNAVAILABLE lease on main ended: "), reply
    assert reply.endswith("; its transaction was rolled back"), reply
    assert client.call("EXIT") == reply
    assert count(postgres, table) == 0
    assert client.call("ENTER", "main") == "OK"
    assert values(run(client, "SELECT 1")) == [b"1"]


def test_backend_killed_while_a_statement_runs(client, postgres):
    client.call("ENTER", "main")
    backend = int(values(run(client, "SELECT pg_backend_pid()"))[0])
    client.send("RUN", "main", "SELECT pg_sleep(600)")
    process.wait_until(lambda: postgres.value("SELECT state = 'active' FROM pg_stat_activity "
                                              "WHERE pid = %s", backend), 60, "it to run")
    postgres.query("SELECT pg_terminate_backend(%s)", backend)
    reply = client.read()
    assert isinstance(reply, wire.Error) and "57P01" not in reply.word, reply
    assert run(client, "SELECT 1").startswith("UNAVAILABLE lease on main ended: ")


def test_more_enters_than_connections_wait_in_order(leasing):
    holders = [leasing.connect() for _ in range(2)]
    waiters = [leasing.connect() for _ in range(4)]
    for holder in holders:
        assert holder.call("ENTER", "main") == "OK"
    for waiter in waiters:
        waiter.send("ENTER", "main")
        with leasing.connect() as probe:  # one loop: what was sent before has been read by now
            probe.call("PING")
            process.wait_until(lambda w=waiter: waiting_enters(probe) >= waiters.index(w) + 1, 60,
                               "ENTER to wait")
    assert leases_held(leasing) == 2
    served = []
    queue = holders[:]
    for waiter in waiters:
        queue.pop(0).close()
        assert waiter.read() == "OK"
        served.append(waiter)
        queue.append(waiter)
        waiting = [one for one in waiters if one not in served]
        for one in waiting:
            one.socket.setblocking(False)
            with pytest.raises(BlockingIOError):
                one.socket.recv(1)
            one.socket.settimeout(60)
    for one in waiters:
        one.close()
    wait_free(leasing)


def waiting_enters(probe):
    clients = wire.text(probe.call("CLIENT", "LIST"))
    return sum("cmd=enter" in line.lower() for line in clients.splitlines()) - 2


def test_enter_gives_up_after_its_timeout(leasing):
    with leasing.connect() as first, leasing.connect() as second, leasing.connect() as third:
        assert first.call("ENTER", "main") == "OK"
        assert second.call("ENTER", "main") == "OK"
        assert third.call("ENTER", "main", "TIMEOUT", "100") == \
            "TIMEOUT no connection of main became free for a lease within 100 ms (it has 2 for " \
            "leases)"
        assert values(run(third, "SELECT 1")) == [b"1"], "without a lease, as before"
        assert first.call("EXIT") == "OK"
        assert third.call("ENTER", "main") == "OK"


def test_a_waiting_client_that_leaves_frees_its_place(leasing):
    with leasing.connect() as first, leasing.connect() as second, leasing.connect() as last:
        first.call("ENTER", "main")
        second.call("ENTER", "main")
        leaver = leasing.connect()
        leaver.send("ENTER", "main")
        last.send("ENTER", "main")
        leaver.close()
        first.close()
        assert last.read() == "OK"


def test_jobs_go_on_while_leases_are_held(client, leasing, table):
    with leasing.connect() as other:
        for one in (client, other):
            one.call("ENTER", "main")
            run(one, "BEGIN")
        with leasing.connect() as third:
            jobs = [third.call("SUBMIT", "main", f"INSERT INTO {table}(v) VALUES ($1)", number)
                    for number in range(200)]
            assert third.call("GATHER", *jobs) == ["INSERT 0 1"] * 200
        assert values(run(client, f"SELECT count(*) FROM {table}")) == [b"200"]
        assert client.call("EXIT") == "ROLLBACK"


def test_leases_are_granted_under_constant_load(leasing, table):
    """The pool is never idle, yet a lease gets its connection, and the jobs all run."""
    with leasing.connect() as loader, leasing.connect() as one:
        jobs = loader.pipeline([("SUBMIT", "main", f"INSERT INTO {table}(v) VALUES ($1)", number)
                                for number in range(3000)])
        for _ in range(20):
            assert one.call("ENTER", "main") == "OK"
            assert run(one, "BEGIN") == "BEGIN"
            assert one.call("EXIT") == "ROLLBACK"
        assert loader.call("GATHER", *jobs) == ["INSERT 0 1"] * 3000


def test_sigterm_with_a_lease_rolls_back(leasing, postgres, table):
    with leasing.connect() as one:
        one.call("ENTER", "main")
        run(one, "BEGIN")
        run(one, f"INSERT INTO {table}(v) VALUES ('a')")
        leasing.stop()
    assert open_transactions(postgres) == 0
    assert count(postgres, table) == 0


def test_sigkill_with_a_lease_rolls_back(leasing, postgres, table):
    with leasing.connect() as one:
        one.call("ENTER", "main")
        run(one, "BEGIN")
        run(one, f"INSERT INTO {table}(v) VALUES ('a')")
        leasing.kill()
    process.wait_until(lambda: open_transactions(postgres) == 0, 60, "the server to notice")
    assert count(postgres, table) == 0


@pytest.mark.parametrize("how", ["RESET", "QUIT"])
def test_reset_and_quit_end_the_lease(leasing, postgres, table, how):
    with leasing.connect() as one:
        one.call("ENTER", "main")
        run(one, "BEGIN")
        run(one, f"INSERT INTO {table}(v) VALUES ('a')")
        assert one.call(how) in ("RESET", "OK")
        wait_free(leasing)
        assert count(postgres, table) == 0
        if how == "RESET":
            assert run(one, "SELECT 1 AS one") == [[b"one"], [b"1"]]


def test_target_that_is_down(make_daemon):
    port = process.free_port()
    one = make_daemon(daemon.target("main", "postgres", connections=4,
                                    uri=f"postgresql://postgres@127.0.0.1:{port}/postgres")).start()
    process.wait_until(lambda: "state=down" in one.info()["target_main"], 60, "it to be down")
    with one.connect() as client:
        assert client.call("ENTER", "main").startswith("UNAVAILABLE target main: ")


def test_wrong_use(client):
    assert client.call("ENTER", "nosuch").startswith("NOTARGET ")
    assert client.call("EXIT") == "ERR this client has no lease"
    assert client.call("EXIT", "main") == "ERR this client has no lease on main"
    for words in (("TIMEOUT",), ("TIMEOUT", "0"), ("TIMEOUT", "30001"), ("TIMEOUT", "x"),
                  ("LEASE", "5")):
        assert client.call("ENTER", "main", *words).startswith("ERR "), words
    assert client.call("ENTER", "main") == "OK"
    assert client.call("ENTER", "main") == \
        "ERR this client has a lease on main already: EXIT ends it"
    assert run(client, "COPY pg_class TO STDOUT").startswith("ERR target main: COPY is refused")
    assert client.call("RUN", "main", "TX", "1", "SELECT 1", "0").startswith("ERR target main: TX ")
    assert run(client, "").startswith("ERR ")
    assert client.call("ENTER", "local") == "OK"
    assert client.call("EXIT") == "ERR this client has 2 leases: EXIT needs the target"
    assert client.call("EXIT", "local") == "OK"
    assert client.call("EXIT") == "OK"


def test_target_without_leases(make_daemon, postgres):
    one = make_daemon(lease_target(postgres, connections=1)
                      + daemon.target("mail", "worker")).start()
    with one.connect() as client:
        assert client.call("ENTER", "main").startswith("ERR target main gives no leases")
        assert client.call("ENTER", "mail").startswith("ERR target mail is of type worker")


def test_result_formats_and_sizes(make_daemon, postgres):
    one = make_daemon(lease_target(postgres, connections=4),
                      settings="result_size_max = 64K").start()
    with one.connect() as client:
        client.call("ENTER", "main")
        assert client.call("RUN", "FORMAT", "json", "main", "SELECT 1 AS one") == b'[{"one":"1"}]' \
            or client.call("RUN", "FORMAT", "json", "main", "SELECT 1 AS one") == b'[{"one":1}]'
        assert run(client, "SELECT repeat('x', 100000)").startswith("FAILED RESULTTOOBIG ")
        assert values(run(client, "SELECT 1")) == [b"1"]
        assert client.call("EXIT") == "OK"


def test_many_clients_enter_and_leave(leasing, postgres, table):
    """Each of eight clients adds one, twenty times, in read-modify-write: none is lost."""
    postgres.query(f"INSERT INTO {table}(v) VALUES ('0')")
    problems = []

    def add():
        try:
            with leasing.connect() as one:
                for _ in range(20):
                    assert one.call("ENTER", "main") == "OK"
                    run(one, "BEGIN")
                    value = int(values(run(one, f"SELECT v FROM {table} FOR UPDATE"))[0])
                    run(one, f"UPDATE {table} SET v = $1", value + 1)
                    assert run(one, "COMMIT") == "COMMIT"
                    assert one.call("EXIT") == "OK"
        except AssertionError as problem:
            problems.append(problem)

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems, problems
    assert postgres.value(f"SELECT v FROM {table}") == "160"
