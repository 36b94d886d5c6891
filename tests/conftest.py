"""conftest.py - the servers (PostgreSQL and Redis once a session), daemons (one a test), a time
limit for each test. Everything started here is stopped by pid, also when the test failed."""

import itertools
import signal

import pytest

from harness import container, engines
from harness import daemon as daemon_module

pytest.register_assert_rewrite("conformance")

LIMIT_S = 300
TABLE_NUMBERS = itertools.count(1)



@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    """A test that hangs fails with its stack, and the clean-up of its fixtures still runs."""
    marker = item.get_closest_marker("limit")
    limit_s = marker.args[0] if marker else LIMIT_S

    def too_long(_number, _frame):
        raise TimeoutError(f"the test ran for more than {limit_s} s")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(limit_s)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows the end of its daemon's log."""
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for one in getattr(item, "funcargs", {}).get("daemons", []):
            report.sections.append(("daemon log", one.output()[-3000:]))


def pytest_configure(config):
    config.addinivalue_line("markers", "limit(seconds): the longest this test may take")
    config.addinivalue_line("markers", "slow: moves gigabytes; -m \"not slow\" leaves it out")


def pytest_collection_modifyitems(config, items):
    """With the databases in containers, only what uses one of them is worth its time."""
    if container.in_use():
        kept = [item for item in items
                if {"postgres", "redis_server", "contained"} & set(item.fixturenames)]
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept


@pytest.fixture(scope="session")
def postgres():
    server = engines.postgres()
    yield server
    server.close()


@pytest.fixture(scope="session")
def redis_server():
    server = engines.redis_server()
    yield server
    server.close()


@pytest.fixture
def daemons():
    """A list; what a test appends to it is ended after the test."""
    started = []
    yield started
    problems = []
    for one in started:
        try:
            one.close()
        except AssertionError as problem:
            problems.append(str(problem))
    assert not problems, "\n".join(problems)


@pytest.fixture
def make_daemon(daemons):
    """make_daemon(targets, extra, settings=..., state=...): a daemon that has not started yet;
    `settings` are lines for its [daemon] section."""

    def make(targets=daemon_module.LOCAL, extra="", **options):
        one = daemon_module.Daemon(targets, extra, **options)
        daemons.append(one)
        return one

    return make


@pytest.fixture
def local(make_daemon):
    """A running daemon with the SQLite target `local` only."""
    return make_daemon().start()


@pytest.fixture
def three(make_daemon, postgres, redis_server):
    """A running daemon with the targets main (postgres), cache (redis) and local (sqlite)."""
    return make_daemon(daemon_module.target("main", "postgres", uri=postgres.uri)
                       + daemon_module.target("cache", "redis", uri=redis_server.uri)
                       + daemon_module.LOCAL).start()


@pytest.fixture
def client(three):
    with three.connect() as connection:
        yield connection


@pytest.fixture
def table(postgres):
    """A fresh PostgreSQL table t(id serial, v text unique)."""
    name = f"t{next(TABLE_NUMBERS)}"
    postgres.query(f"CREATE TABLE {name} (id serial PRIMARY KEY, v text UNIQUE)")
    yield name
    postgres.query(f"DROP TABLE {name}")


@pytest.fixture
def redis_client(redis_server):
    connection = redis_server.client()
    connection.flushall()
    return connection
