"""test_multi.py - MULTI ... EXEC | DISCARD: all or none, references inside, wrong use, limits,
disconnects, SIGKILL at random moments, and the transactions of ordinary Redis clients."""

import random
import threading

import pytest
import redis

from harness import daemon as daemon_module, process, wire

HOUR = "3600000"
LIMIT = 10000
WORKERS = daemon_module.LOCAL + daemon_module.target("crew", "worker")


@pytest.fixture(params=[2, 3])
def client(request, local):
    with local.connect() as connection:
        if request.param == 3:
            connection.call("HELLO", "3")
        yield connection


def count(client, **words):
    found, cursor = 0, "0"
    options = [part for key, value in words.items() for part in (key, value)]
    while True:
        cursor, page = client.call("JOBS", "LIMIT", "10000", "CURSOR", cursor, *options)
        found += len(page)
        if cursor == b"0":
            return found


def submit(client, *words):
    assert client.call("SUBMIT", *words) == "QUEUED"


def test_exec_answers_the_ids_in_order(client):
    assert client.call("MULTI") == "OK"
    for number in range(5):
        submit(client, "QUEUE", f"q{number}", "local", f"SELECT {number}")
    ids = client.call("EXEC")
    assert len(ids) == 5 and ids == sorted(ids, key=int)
    results = client.call("GATHER", *ids)
    assert [wire.text(one[1][0]) for one in results] == [str(number) for number in range(5)]
    assert wire.text(wire.as_map(client.call("JOB", ids[3]))["queue"]) == "q3"


def test_nothing_is_stored_before_exec_or_after_discard(client):
    client.call("MULTI")
    submit(client, "local", "SELECT 1")
    assert client.call("DISCARD") == "OK"
    assert count(client) == 0
    client.call("MULTI")
    assert client.call("EXEC") == []
    assert "without MULTI" in client.call("EXEC")
    assert "without MULTI" in client.call("DISCARD")


@pytest.mark.parametrize("words,said", [
    (("SUBMIT", "nosuch", "x"), "NOTARGET"),
    (("SUBMIT", "PRIORITY", "x", "local", "SELECT 1"), "PRIORITY needs"),
    (("SUBMIT",), "wrong number of arguments"),
    (("PING",), "PING is not possible inside MULTI"),
    (("AWAIT", "1"), "AWAIT is not possible inside MULTI"),
    (("NOSUCH",), "unknown command"),
    (("MULTI",), "can not be nested"),
    (("SUBMIT", "AFTER", "$2", "local", "SELECT 1"), "AFTER $2 would be a cycle"),
    (("SUBMIT", "AFTER", "$7", "local", "SELECT 1"), "AFTER $7 would be a cycle"),
    (("SUBMIT", "BIND", "2", "$2", "0", "0", "local", "SELECT ?", "x"), "would be a cycle"),
    (("SUBMIT", "AFTER", "$0", "local", "SELECT 1"), "AFTER needs $1 to $10000"),
    (("SUBMIT", "AFTER", "$x", "local", "SELECT 1"), "AFTER needs $1 to $10000"),
])
def test_an_error_aborts(client, words, said):
    client.call("MULTI")
    submit(client, "local", "SELECT 1")
    reply = client.call(*words)
    assert isinstance(reply, wire.Error) and said in reply
    client.call("SUBMIT", "local", "SELECT 1")
    reply = client.call("EXEC")
    assert reply.word == "EXECABORT"
    assert client.call("PING") == "PONG"
    assert count(client) == 0


def test_references_need_a_multi(local):
    with local.connect() as client:
        assert "AFTER $1 refers to a job of a MULTI, and there is none" in client.call(
            "SUBMIT", "AFTER", "$1", "local", "SELECT 1")


def test_the_refused_one_is_named_and_none_is_stored(client):
    for words in (("AFTER", "12345"), ("AFTER", str(2**63 - 1)), ("BIND", "2", "777", "0", "0")):
        client.call("MULTI")
        submit(client, "local", "SELECT 1")
        submit(client, *words, "local", "SELECT ?", "x")
        submit(client, "local", "SELECT 2")
        reply = client.call("EXEC")
        assert reply.word == "NOJOB" and "job 2 of the MULTI" in reply, reply
        assert count(client) == 0


def test_jobs_wait_for_each_other(client):
    client.call("MULTI")
    submit(client, "local", "SELECT 20 AS number")
    submit(client, "BIND", "2", "$1", "0", "0", "local", "SELECT ? + 1", "x")
    submit(client, "AFTER", "$1", "$2", "local", "SELECT 3")
    first, second, third = client.call("EXEC")
    assert wire.text(client.call("AWAIT", second)[1][0]) in ("21", 21)
    assert not isinstance(client.call("AWAIT", third), wire.Error)
    assert wire.as_map(client.call("JOB", first))["history"] == []


def test_keys_inside(client):
    held = client.call("SUBMIT", "KEY", "k", "DELAY", HOUR, "local", "SELECT 1")
    client.call("MULTI")
    submit(client, "KEY", "k", "local", "SELECT 1")
    submit(client, "KEY", "new", "DELAY", HOUR, "local", "SELECT 1")
    submit(client, "KEY", "new", "local", "SELECT 1")
    submit(client, "AFTER", "$1", "$3", "local", "SELECT 1")
    ids = client.call("EXEC")
    assert ids[0] == held and ids[1] == ids[2]
    fields = wire.as_map(client.call("JOB", ids[3]))
    assert wire.text(fields["state"]) == "blocked"
    assert fields["after"] == sorted([held, ids[1]], key=int)
    assert client.call("PROMOTE", held, ids[1]) == 2
    assert not isinstance(client.call("AWAIT", ids[3]), wire.Error)


def test_a_parent_that_is_cancelled_as_it_comes(client):
    failed = client.call("SUBMIT", "local", "SELECT * FROM nowhere")
    client.call("AWAIT", failed)
    client.call("MULTI")
    submit(client, "AFTER", failed, "local", "SELECT 1")
    submit(client, "BIND", "2", "$1", "0", "0", "ONFAIL", "run", "local", "SELECT ?", "x")
    submit(client, "AFTER", "$1", "ONFAIL", "run", "local", "SELECT 1")
    ids = client.call("EXEC")
    assert client.call("AWAIT", ids[0]).word == "CANCELLED"
    assert client.call("AWAIT", ids[1]).word == "CANCELLED"
    assert not isinstance(client.call("AWAIT", ids[2]), wire.Error)


def test_the_limit_of_jobs(local):
    with local.connect() as client:
        client.call("MULTI")
        words = ("SUBMIT", "DELAY", HOUR, "local", "SELECT 1")
        assert set(client.pipeline([words] * LIMIT)) == {"QUEUED"}
        reply = client.call(*words)
        assert isinstance(reply, wire.Error) and "at most 10000 jobs" in reply
        assert client.call("EXEC").word == "EXECABORT"
        client.call("MULTI")
        client.pipeline([words] * LIMIT)
        ids = client.call("EXEC")
        assert len(set(ids)) == LIMIT
        assert count(client) == LIMIT
        assert client.call("DELETE", "WHERE", "QUEUE", "default") == LIMIT


def test_the_limit_of_bytes(local):
    with local.connect() as client:
        client.call("MULTI")
        value = "x" * (9 << 20)
        replies = [client.call("SUBMIT", "local", "SELECT ?", value) for _ in range(8)]
        assert replies[0] == "QUEUED"
        assert isinstance(replies[-1], wire.Error) and "at most 64 MiB" in replies[-1]
        assert client.call("EXEC").word == "EXECABORT"


def test_a_disconnect_and_reset_forget_it(local):
    with local.connect() as client:
        client.call("MULTI")
        submit(client, "local", "SELECT 1")
    with local.connect() as client:
        client.call("MULTI")
        submit(client, "local", "SELECT 1")
        assert client.call("RESET") == "RESET"
        assert "without MULTI" in client.call("EXEC")
        assert count(client) == 0


def test_after_a_restart(local):
    with local.connect() as client:
        client.call("MULTI")
        submit(client, "DELAY", HOUR, "local", "SELECT 1")
        submit(client, "AFTER", "$1", "local", "SELECT 2")
        first, second = client.call("EXEC")
    local.restart()
    with local.connect() as client:
        assert wire.text(wire.as_map(client.call("JOB", second))["state"]) == "blocked"
        client.call("PROMOTE", first)
        assert not isinstance(client.call("AWAIT", second), wire.Error)


def test_rights(make_daemon):
    daemon = make_daemon()
    watch = daemon.folder / "watch.sock"
    daemon.configure(daemon.configuration.read_text()
                     + f"[socket watch]\npath = {watch}\nallow = observe\n")
    daemon.start()
    with wire.Wire(watch) as client:
        for command in ("MULTI", "EXEC", "DISCARD"):
            assert client.call(command).word == "NOPERM"


def test_redis_py_pipeline(local):
    client = local.redis()
    with client.pipeline(transaction=True) as pipe:
        for number in range(100):
            pipe.execute_command("SUBMIT", "local", f"SELECT {number}")
        ids = pipe.execute()
    assert len(set(ids)) == 100
    assert len(client.execute_command("GATHER", *ids)) == 100
    with client.pipeline(transaction=True) as pipe:
        pipe.execute_command("SUBMIT", "local", "SELECT 1")
        pipe.execute_command("SUBMIT", "nosuch", "x")
        with pytest.raises(redis.ResponseError, match="NOTARGET"):
            pipe.execute()
    assert client.execute_command("DELETE", "WHERE", "TARGET", "local") == 100


def submit_groups(daemon, size, names, answered):
    """MULTIs of `size` jobs, each in a queue of its own, until the daemon is gone."""
    try:
        with daemon.connect() as client:
            while True:
                name = f"g{len(names)}"
                names.append(name)
                client.pipeline([("MULTI",)]
                                + [("SUBMIT", "QUEUE", name, "crew", str(number))
                                   for number in range(size)])
                assert len(client.call("EXEC")) == size
                answered.append(name)
    except (OSError, wire.Closed):
        pass


def test_all_or_none_under_kills(make_daemon):
    daemon = make_daemon(WORKERS)
    size, chance = 40, random.Random(1)
    names, answered = [], []
    for _ in range(4):
        daemon.start()
        thread = threading.Thread(target=submit_groups, args=(daemon, size, names, answered))
        enough = len(names) + 3 + chance.randrange(30)
        thread.start()
        process.wait_until(lambda enough=enough: len(names) >= enough, 30, "MULTIs")
        daemon.kill()
        thread.join(30)
        assert not thread.is_alive()
    daemon.start()
    with daemon.connect() as client:
        stored = {name: count(client, QUEUE=name) for name in names}
    assert set(stored.values()) <= {0, size}, stored
    assert answered and all(stored[name] == size for name in answered)
