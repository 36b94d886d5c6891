"""test_key_serial.py - KEY (one live job a key) and SERIAL (strict order), across races, ends,
restarts and kills."""

import threading

import pytest

from harness import process, wire

HOUR = "3600000"


def submit(client, *words):
    job = client.call("SUBMIT", *words)
    assert not isinstance(job, wire.Error), job
    return job


def fields_of(client, job):
    return wire.as_map(client.call("JOB", job))


def state_of(client, job):
    return wire.text(fields_of(client, job)["state"])


def wait_for(client, job, state):
    process.wait_until(lambda: state_of(client, job) == state, 60, f"the job to be {state}")


# --- KEY ---------------------------------------------------------------------------------


def test_same_key_gives_the_first_id(local):
    with local.connect() as client:
        first = submit(client, "KEY", "k", "DELAY", HOUR, "local", "SELECT 1")
        assert submit(client, "KEY", "k", "local", "SELECT 2") == first
        assert submit(client, "QUEUE", "q", "KEY", "k", "local", "SELECT 3") == first
        other = submit(client, "KEY", "K", "DELAY", HOUR, "local", "SELECT 1")
        assert other != first, "keys are bytes: case counts"
        assert wire.text(fields_of(client, first)["key"]) == "k"
        assert client.call("CANCEL", first) == 1
        assert submit(client, "KEY", "k", "DELAY", HOUR, "local", "SELECT 1") not in (first, other)


def test_key_in_one_pipeline(local):
    with local.connect() as client:
        ids = client.pipeline(("SUBMIT", "KEY", f"k{number % 7}", "DELAY", HOUR, "local",
                               "SELECT 1") for number in range(700))
        assert len(set(ids)) == 7
        assert ids == ids[:7] * 100


@pytest.mark.parametrize("end", ["done", "dead", "dropped"])
def test_key_is_free_after_the_end(local, end):
    words = {"done": ["local", "SELECT 1"], "dead": ["local", "SELEC"],
             "dropped": ["KEEP", "0", "local", "SELECT 1"]}[end]
    with local.connect() as client:
        first = submit(client, "KEY", "k", "DELAY", "200", *words)
        client.call("AWAIT", first)
        second = submit(client, "KEY", "k", "DELAY", HOUR, "local", "SELECT 1")
        assert second != first
        assert submit(client, "KEY", "k", "local", "SELECT 1") == second


def test_key_survives_a_retry_a_restart_and_a_kill(local):
    with local.connect() as client:
        first = submit(client, "KEY", "k\x00\r\n", "TIMEOUT", "50", "RETRY", "9", "BACKOFF", HOUR,
                       HOUR, "local", "SELECT sleep(3600000)")
        process.wait_until(lambda: int(fields_of(client, first)["attempts"]) == 1, 60, "a retry")
        assert submit(client, "KEY", "k\x00\r\n", "local", "SELECT 1") == first
    local.restart()
    with local.connect() as client:
        assert submit(client, "KEY", "k\x00\r\n", "local", "SELECT 1") == first
    local.kill()
    local.start()
    with local.connect() as client:
        assert submit(client, "KEY", "k\x00\r\n", "local", "SELECT 1") == first


def test_fifty_connections_race_for_one_key(local):
    ids = []
    clients = [local.connect() for _ in range(50)]
    start = threading.Barrier(50)

    def race(client):
        start.wait()
        ids.append(client.call("SUBMIT", "KEY", "k", "DELAY", HOUR, "local", "SELECT 1"))

    threads = [threading.Thread(target=race, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 50 and len(set(ids)) == 1, set(ids)
    for client in clients:
        client.close()


def test_one_effect_a_key_while_it_is_live(local):
    """Many submit the same keys all the time: no two jobs of one key are ever live together."""
    with local.connect() as client:
        client.call("RUN", "local", "CREATE TABLE e(k, n INTEGER PRIMARY KEY)")
        ids = client.pipeline(("SUBMIT", "KEY", f"k{number % 5}", "local",
                               "INSERT INTO e(k) VALUES (?)", f"k{number % 5}")
                              for number in range(1000))
        assert all(isinstance(job, bytes) for job in ids)
        distinct = sorted(set(ids))
        client.call("GATHER", *distinct)
        rows = client.call("RUN", "local", "SELECT count(*) FROM e")
        assert int(rows[1][0]) == len(distinct)


def test_wrong_keys(local):
    with local.connect() as client:
        for option in ("KEY", "SERIAL"):
            for words in ((option, "", "local", "SELECT 1"),
                          (option, "x" * 257, "local", "SELECT 1"),
                          (option, "a", option, "b", "local", "SELECT 1")):
                reply = client.call("SUBMIT", *words)
                assert isinstance(reply, wire.Error) and reply.word == "ERR" and option in reply
        assert client.call("RUN", "KEY", "k", "local", "SELECT 1").word == "ERR"


# --- SERIAL ------------------------------------------------------------------------------


def order_of(client):
    return [(wire.text(row[0]), int(row[1]))
            for row in client.call("RUN", "local", "SELECT k, i FROM o ORDER BY n")[1:]]


def make_order(client):
    client.call("RUN", "local", "CREATE TABLE o(n INTEGER PRIMARY KEY, k, i)")


def serial(key, index, *options):
    return ("SUBMIT", *options, "SERIAL", key, "local", "INSERT INTO o(k, i) VALUES (?, ?)", key,
            str(index))


def check_order(rows, keys, each):
    seen = {}
    for key, index in rows:
        assert index == seen.get(key, 0), f"{key}: {index} came after {seen.get(key, 0) - 1}"
        seen[key] = index + 1
    assert len(seen) == keys and set(seen.values()) == {each}


def test_a_thousand_serial_keys_of_ten_jobs(local):
    with local.connect() as client:
        make_order(client)
        ids = []
        for index in range(10):
            for key in range(0, 1000, 250):
                # whatever the priority says, within a key the order is that of submission
                ids += client.pipeline(serial(f"k{key + number}", index, "PRIORITY",
                                              str(10 - index)) for number in range(250))
        for at in range(0, len(ids), 500):
            assert client.call("GATHER", *ids[at:at + 500]) == ["INSERT 0 1"] * 500
        check_order(order_of(client), 1000, 10)


def test_serial_waits_for_delays_retries_and_ends(local):
    with local.connect() as client:
        make_order(client)
        first = submit(client, *serial("k", 0, "DELAY", HOUR)[1:])
        second = submit(client, "SERIAL", "k", "TIMEOUT", "50", "RETRY", "1", "BACKOFF", HOUR,
                        HOUR, "local", "SELECT sleep(3600000)")
        third = submit(client, *serial("k", 1)[1:])
        fields = fields_of(client, third)
        assert wire.text(fields["state"]) == "blocked"
        assert int(fields["blockers"]) == 1 and wire.text(fields["serial"]) == "k"
        other = submit(client, *serial("other", 0)[1:])
        assert client.call("AWAIT", other) == "INSERT 0 1"
        assert [state_of(client, job) for job in (second, third)] == ["blocked"] * 2
        assert client.call("PROMOTE", first) == 1
        assert client.call("RACE", first, second, third)[0] == first
        wait_for(client, second, "scheduled")
        assert int(fields_of(client, second)["attempts"]) == 1
        assert state_of(client, third) == "blocked"
        assert client.call("PROMOTE", second) == 1
        assert client.call("RACE", second, third)[0] == second
        assert state_of(client, second) == "dead"
        assert client.call("AWAIT", third) == "INSERT 0 1"


def test_cancelled_ones_disappear_from_a_serial(local):
    with local.connect() as client:
        make_order(client)
        head = submit(client, *serial("k", 0, "DELAY", HOUR)[1:])
        ids = client.pipeline(serial("k", index) for index in range(6))
        assert client.call("CANCEL", ids[1], ids[3]) == 2
        states = [state_of(client, job) for job in ids]
        assert states == ["blocked", "cancelled"] * 2 + ["blocked"] * 2
        assert client.call("CANCEL", head) == 1
        client.call("GATHER", *ids)
        assert [index for _, index in order_of(client)] == [0, 2, 4, 5]


def test_serial_survives_kills(local):
    with local.connect() as client:
        make_order(client)
        ids = []
        for index in range(20):
            ids += client.pipeline(serial(f"k{key}", index) for key in range(50))
        pauses = [submit(client, "SERIAL", f"k{key}", "local", "SELECT sleep(3600000)")
                  for key in range(5)]
    for _ in range(3):
        local.kill()
        local.start()
    with local.connect() as client:
        for at in range(0, len(ids), 500):
            assert client.call("GATHER", *ids[at:at + 500]) == ["INSERT 0 1"] * 500
        rows = order_of(client)
        # at-least-once: what a kill met in the middle may stand there twice, but never out of order
        once = [row for at, row in enumerate(rows) if row not in rows[:at]]
        check_order(once, 50, 20)
        for at, (key, index) in enumerate(rows):
            assert all(later >= index for name, later in rows[at:] if name == key)
        behind = submit(client, "SERIAL", "k0", "local", "SELECT 1")
        assert state_of(client, behind) == "blocked"
        assert client.call("CANCEL", *pauses) == 5
        assert client.call("AWAIT", behind) == [[b"1"], [b"1"]]


def test_keep_zero_hands_a_serial_on(local):
    with local.connect() as client:
        make_order(client)
        head = submit(client, *serial("k", 0, "KEEP", "0", "DELAY", HOUR)[1:])
        behind = client.pipeline(serial("k", index, "KEEP", "0") for index in range(1, 20))
        last = submit(client, *serial("k", 20)[1:])
        assert behind
        assert client.call("PROMOTE", head) == 1
        assert client.call("AWAIT", last) == "INSERT 0 1"
        assert [index for _, index in order_of(client)] == list(range(21))


def test_jobs_of_one_line_that_end_together_are_not_handed_out(make_daemon):
    """Each end lets the next one go, which then ends in the same change of the store."""
    daemon = make_daemon("[target mail]\ntype = worker\n").start()
    with daemon.connect() as client:
        jobs = [submit(client, "SERIAL", "s", "mail", "deleted") for _ in range(5)]
        assert client.call("DELETE", *jobs) == 5
        for _ in range(5):
            submit(client, "SERIAL", "s", "EXPIRE", "1", "DELAY", HOUR, "mail", "expired")
        last = submit(client, "SERIAL", "s", "mail", "last")
        given = client.call("RESERVE", "mail", "COUNT", "10", "TIMEOUT", "60000")
        assert [job[0] for job in given] == [last]
        assert client.call("ACK", last, given[0][1]) == "OK"
