"""test_metrics.py - METRICS: valid text, true numbers, a bounded number of series."""

import pytest

from harness import exposition, wire
from harness.daemon import target
from harness.exposition import value
from test_awaitctl import Awaitctl

SERIES_A_QUEUE_MAX = 32


def scrape(daemon):
    with daemon.connect() as client:
        return exposition.parse(client.call("METRICS"))


def run_some(daemon):
    with daemon.connect() as client:
        done = [client.call("SUBMIT", "local", "SELECT 1") for _ in range(5)]
        dead = client.call("SUBMIT", "QUEUE", "other", "local", "no sql")
        for job in done:
            client.call("AWAIT", job)
        assert client.call("AWAIT", dead).word == "FAILED"
        assert client.call("SUBMIT", "nowhere", "x").word == "NOTARGET"
        assert client.call("NONSENSE").word == "ERR"
        client.call("SUBMIT", "DELAY", "3600000", "local", "SELECT 2")


def test_what_happened_is_counted(local):
    run_some(local)
    found = scrape(local)
    assert value(found, "awaitd_queue_events_total", queue="default", event="done") == 5
    assert value(found, "awaitd_queue_events_total", queue="other", event="failed") == 1
    assert value(found, "awaitd_queue_jobs", queue="default", state="scheduled") == 1
    assert value(found, "awaitd_jobs", state="done") == 5
    assert value(found, "awaitd_jobs", state="dead") == 1
    assert value(found, "awaitd_job_events_total", event="submitted") == 7
    assert value(found, "awaitd_queue_bytes", queue="default") > 0
    assert value(found, "awaitd_target_up", target="local") == 1
    assert value(found, "awaitd_target_executions_total", target="local", outcome="done") == 5
    assert value(found, "awaitd_target_executions_total", target="local", outcome="dead") == 1
    assert value(found, "awaitd_queue_waiting_seconds_count", queue="default") == 5
    assert value(found, "awaitd_queue_running_seconds_count", queue="other") == 1
    assert value(found, "awaitd_queue_running_seconds", queue="default", quantile="0.99") > 0
    assert value(found, "awaitd_commands_total", command="SUBMIT") == 8
    assert value(found, "awaitd_command_errors_total", command="SUBMIT") == 1
    assert value(found, "awaitd_command_errors_total", command="AWAIT") == 1
    assert value(found, "awaitd_commands_total", command="unknown") == 1
    assert value(found, "awaitd_command_errors_total", command="unknown") == 1
    assert value(found, "awaitd_commit_changes_sum") >= 13
    assert value(found, "awaitd_commit_changes", quantile="0.5") >= 1
    commits = value(found, "awaitd_commit_seconds_count")
    assert commits == value(found, "awaitd_fsync_seconds_count") > 0
    assert 0 < value(found, "awaitd_fsync_seconds_sum") <= value(found, "awaitd_commit_seconds_sum")
    assert value(found, "awaitd_wal_bytes") > 0
    assert value(found, "awaitd_disk_free_bytes") > 0
    assert value(found, "awaitd_memory_resident_bytes") > 1 << 20
    assert value(found, "awaitd_connections") >= 1
    assert value(found, "awaitd_loop_turn_seconds_count") > 10
    [longest] = found["awaitd_loop_longest_turn_seconds"].samples.items()
    assert longest[1] > 0


def test_counters_never_fall_and_later_errors_count(local):
    run_some(local)
    before = scrape(local)
    run_some(local)
    with local.connect() as client: # found out by the store: the reply comes after the command
        assert client.call("SUBMIT", "AFTER", "1", "local", "SELECT 1").word == "NOJOB"
    after = scrape(local)
    for family in before.values():
        for key, number in family.samples.items():
            if family.kind == "counter" or key[0].endswith(("_sum", "_count", "_bucket")):
                assert after[family.name].samples[key] >= number, key
    assert value(after, "awaitd_command_errors_total", command="SUBMIT") == 3


def test_the_oldest_ready_job_of_a_paused_queue(local):
    with local.connect() as client:
        client.call("QUEUE", "PAUSE", "still")
        client.call("SUBMIT", "QUEUE", "still", "local", "SELECT 1")
    found = scrape(local)
    assert value(found, "awaitd_queue_paused", queue="still") == 1
    assert value(found, "awaitd_queue_oldest_seconds", queue="still") >= 0
    assert value(found, "awaitd_queue_jobs", queue="still", state="ready") == 1


def test_the_number_of_series_is_bounded(local):
    run_some(local)
    few = sum(len(family.samples) for family in scrape(local).values())
    with local.connect() as client:
        for number in range(250):
            client.call("SUBMIT", "QUEUE", f"q{number}", "DELAY", "3600000", "local", "SELECT 1")
    found = scrape(local)
    assert value(found, "awaitd_queues") == 252
    assert value(found, "awaitd_queues_shown") == 200
    assert value(found, "awaitd_jobs", state="scheduled") == 251
    assert value(found, "awaitd_queue_jobs", queue="default", state="done") == 5
    assert not [key for key in found["awaitd_queue_bytes"].samples if ("queue", "q249") in key[1]]
    many = sum(len(family.samples) for family in found.values())
    assert many - few <= 200 * SERIES_A_QUEUE_MAX


def test_a_target_that_is_down(make_daemon):
    daemon = make_daemon(target("away", "redis", uri="unix:///nowhere/redis.sock"))
    daemon.start()
    with daemon.connect() as client:
        assert client.call("RUN", "away", "PING").word == "UNAVAILABLE"
    found = scrape(daemon)
    assert value(found, "awaitd_target_up", target="away") == 0
    assert value(found, "awaitd_target_executions_total", target="away", outcome="unavailable") == 1


@pytest.mark.parametrize("right, allowed", [("observe", True), ("admin", True), ("submit", False),
                                            ("work", False)])
def test_the_right_to_it(make_daemon, right, allowed):
    daemon = make_daemon()
    text = daemon.configuration.read_text(encoding="utf-8")
    daemon.configure(text + f"[socket other]\npath = {daemon.folder}/other.sock\nallow = {right}\n")
    daemon.start()
    with wire.Wire(daemon.folder / "other.sock") as client:
        answer = client.call("METRICS")
    assert bool(exposition.parse(answer)) if allowed else answer.word == "NOPERM"


def test_awaitctl_prints_it_as_it_is(local):
    run_some(local)
    text = Awaitctl(local).run("metrics")
    assert value(exposition.parse(text.encode()), "awaitd_target_up", target="local") == 1
