"""test_awaitctl_queues.py - awaitctl queues, queue, targets, target and events."""

import json

import pytest

from harness import process
from test_awaitctl import REFUSED, USAGE, Awaitctl


@pytest.fixture
def ctl(local):
    return Awaitctl(local)


def test_queues_and_targets(ctl):
    assert ctl.run("queues") == ""
    assert ctl.json("queues") == []
    ctl.run("submit", "--queue", "nightly", "--delay", "1h", "local", "SELECT 1")
    [queue] = ctl.json("queues")
    assert (queue["queue"], queue["scheduled"], queue["paused"]) == ("nightly", 1, False)
    [target] = ctl.json("targets")
    assert (target["target"], target["type"], target["up"], target["reason"]) == (
        "local", "sqlite", True, None)
    lines = ctl.on_terminal("queues").splitlines()
    assert all(name in lines[0] for name in ("queue", "paused", "scheduled"))
    assert ctl.run("queues").split("\t")[:3] == ["nightly", "no", "1"]


def test_pause_purge_and_stats(ctl):
    assert ctl.run("queue", "pause", "q") == "OK\n"
    assert ctl.run("target", "pause", "local") == "OK\n"
    for _ in range(3):
        ctl.run("submit", "--queue", "q", "local", "SELECT 1")
    stats = ctl.json("queue", "stats", "q")
    assert (stats["paused"], stats["ready"], stats["rate_per_s"]) == (True, 3, None)
    assert stats["paused_since"] > 0
    assert isinstance(stats["submitted_per_s_1m"], (int, float))
    assert ctl.json("target", "stats", "local")["paused"] is True
    assert "oldest_age_ms" in ctl.run("queue", "stats", "q")
    assert "3 deleted" in ctl.on_terminal("queue", "purge", "q")
    assert ctl.run("queue", "purge", "q") == "0\n"
    assert ctl.run("queue", "resume", "q") == "OK\n"
    assert ctl.run("target", "resume", "local") == "OK\n"
    job = ctl.run("submit", "--queue", "q", "local", "SELECT 1").strip()
    assert ctl.run("await", job) == "1\n"


def test_wrong_words(ctl):
    ctl.run("queue", "stop", "q", expect=USAGE)
    assert "queue knows no stop" in ctl.said
    ctl.run("target", "purge", "local", expect=USAGE)
    ctl.run("queue", "pause", expect=USAGE)
    ctl.run("queue", "stats", "nosuch", expect=REFUSED)
    ctl.run("target", "pause", "nosuch", expect=REFUSED)
    assert "NOTARGET" in ctl.said


def test_events(ctl, local):
    listening = ctl.start("--json", "events", "--count", "3", "queue:q")
    with_channel = ctl.start("events", "-n", "1", "queue:q", "target:nosuch")

    def heard():
        """Submits until both have ended: when they began to listen is not known."""
        ctl.run("await", ctl.run("submit", "--queue", "q", "local", "SELECT 1").strip())
        return listening.poll() is not None and with_channel.poll() is not None

    process.wait_until(heard, 60, "both to end")
    events = [json.loads(line) for line in listening.stdout.read().splitlines()]
    assert len(events) == 3
    assert {event["queue"] for event in events} == {"q"}
    channel, text = with_channel.stdout.read().decode().rstrip("\n").split("\t")
    assert channel == "queue:q"
    assert json.loads(text)["target"] == "local"
    assert (listening.returncode, with_channel.returncode) == (0, 0)


def test_events_end_with_the_daemon(ctl, local):
    listening = ctl.start("events")
    process.wait_until(lambda: int(local.info()["connected_clients"]) > 1, 60, "it to listen")
    local.stop()
    assert listening.wait(60) == 3
    assert b"the connection to awaitd" in listening.stderr.read()


def test_top_shows_queues_and_targets(local, ctl):
    ctl.run("submit", "--queue", "nightly", "--delay", "1h", "local", "SELECT 1")
    ctl.run("submit", "--wait", "local", "SELECT 1")
    shown = ctl.run("top", "--count", "2", "--interval", "10ms")
    blocks = shown.strip().split("\n\n")
    queues = blocks[0].split("\n")
    assert queues[0].split("\t")[:3] == ["queue", "paused", "ready"]
    assert {line.split("\t")[0] for line in queues[1:]} == {"default", "nightly"}
    assert "local\tsqlite\t1\t0\t" in blocks[1]
    assert shown.count("queue\tpaused") == 2, "two looks"
    assert "\x1b[H\x1b[J" in ctl.on_terminal("top", "--count", "1")


def test_bind_takes_a_value_of_another_job(local, ctl):
    first = ctl.run("submit", "local", "SELECT 40 AS a, 2 AS b").strip()
    bound = ["submit", "--bind", f"2:{first}:0:0,3:{first}:0:1", "--wait", "local",
             "SELECT ?1 + ?2 AS sum", "x", "y"]
    assert ctl.run(*bound).strip() == "42"
    for wrong in ("2", "2:1:0", "2:1:0:0:0", "a:1:0:0", "2:1:0:0,", ",2:1:0:0", "2:1:0:0,3"):
        ctl.run("submit", "--bind", wrong, "local", "SELECT ?1", "x", expect=2)
        assert "argument:job:row:column" in ctl.said
