"""leasing.py - fixtures and words of the tests of leased connections."""

import pytest

from harness import daemon, process, wire


def lease_target(postgres, **keys):
    return daemon.target("main", "postgres", uri=postgres.uri, **keys)


@pytest.fixture
def leasing(make_daemon, postgres, redis_server):
    """The three targets; main has six connections, two of them for leases."""
    return make_daemon(lease_target(postgres, connections=6, leases=2)
                       + daemon.target("cache", "redis", uri=redis_server.uri)
                       + daemon.target("local", "sqlite", path="local.db")).start()


@pytest.fixture
def client(leasing):
    with leasing.connect() as connection:
        yield connection


def run(client, sql, *parameters, target="main"):
    return client.call("RUN", target, sql, *parameters)


def begin_briefly(client, target, *commands):
    """Enters, for a time that is just long enough for these, and what RUN and EXIT say once it is
    over. A slow machine needs more of it."""
    for timeout_ms in (300, 3000, 30000):
        if client.call("ENTER", target, "TIMEOUT", timeout_ms) != "OK":
            continue
        replies = [client.call("RUN", target, *words) for words in commands]
        if not any(isinstance(reply, wire.Error) for reply in replies):
            return (f"TIMEOUT lease on {target} ended after {timeout_ms} ms; its transaction was "
                    "rolled back")
        client.call("EXIT")
    raise AssertionError(f"{commands} took longer than the longest lease")


def values(reply):
    """The first column of the rows."""
    assert not isinstance(reply, wire.Error), reply
    return [row[0] for row in reply[1:]]


def count(postgres, table):
    return postgres.value(f"SELECT count(*) FROM {table}")


def open_transactions(postgres):
    return postgres.value("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'awaitd' "
                          "AND state LIKE 'idle in transaction%%'")


def leases_held(daemon_, target="main"):
    line = daemon_.info()[f"target_{target}"]
    return int(dict(part.split("=", 1) for part in line.split(","))["leases"])


def wait_free(daemon_, target="main"):
    process.wait_until(lambda: leases_held(daemon_, target) == 0, 60, "the lease to be given back")
