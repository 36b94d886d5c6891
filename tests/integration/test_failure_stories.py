"""test_failure_stories.py - how other queues failed their users, as told in their issue trackers:
those stories that no other test tells. docs/TESTING.md lists all of them."""

import re

import pytest

from harness import daemon as daemon_module
from harness import wire

WORKER = daemon_module.target("mail", "worker")
LOSSES = 20


@pytest.fixture
def workers(make_daemon):
    return make_daemon(targets=WORKER, settings="stop_timeout = 200ms").start()


def test_a_message_that_kills_its_workers_ends(workers):
    """Faktory#56: a job whose worker always vanishes went round for ever. Here 20 losses are free,
    then each costs an attempt."""
    with workers.connect() as client:
        job = client.call("SUBMIT", "RETRY", "1", "BACKOFF", "1", "1", "mail", "poison")
        rounds = 0
        while wire.text(wire.as_map(client.call("JOB", job))["state"]) != "dead":
            rounds += 1
            assert rounds <= LOSSES + 10, "it goes round for ever"
            if client.call("RESERVE", "mail", "LEASE", "1", "TIMEOUT", "2000"):
                # Until this lease has run out; its job is the only one.
                client.call("AWAIT", job, "TIMEOUT", "20")
        fields = wire.as_map(client.call("JOB", job))
        assert int(fields["interruptions"]) >= LOSSES
        assert "lease" in wire.text(fields["error"])
        assert client.call("AWAIT", job).word == "FAILED"
        assert client.call("RESERVE", "mail", "TIMEOUT", "0") == []


@pytest.mark.parametrize("mistake", [
    "[target mail]\ntype = nosuch\n", "[nosuch]\n", "not ini at all\n",
    "[queue default]\nconcurrency = many\n"])
def test_a_wrong_configuration_at_a_restart_costs_no_job(workers, mistake):
    """Fluent Bit#2246: the backlog was destroyed by a start with a wrong configuration."""
    with workers.connect() as client:
        jobs = [client.call("SUBMIT", "mail", str(number)) for number in range(10)]
    workers.kill()
    right = workers.configuration.read_text(encoding="utf-8")
    workers.configure(right + mistake)
    workers.refuses_to_start()
    workers.configure(right)
    workers.start()
    with workers.connect() as client:
        reserved = client.call("RESERVE", "mail", "COUNT", "10")
    assert [one[0] for one in reserved] == jobs


def test_a_target_that_is_taken_out_of_the_configuration_keeps_its_jobs(workers):
    """The same, less obvious: the configuration is right but lacks the jobs' target."""
    with workers.connect() as client:
        job = client.call("SUBMIT", "mail", "x")
    workers.stop()
    right = workers.configuration.read_text(encoding="utf-8")
    workers.configure(right.replace("[target mail]", "[target other]"))
    workers.start()
    with workers.connect() as client:
        assert wire.text(wire.as_map(client.call("JOB", job))["state"]) == "ready"
        assert client.call("SUBMIT", "mail", "y").word == "NOTARGET"
    workers.stop()
    workers.configure(right)
    workers.start()
    with workers.connect() as client:
        assert client.call("RESERVE", "mail")[0][0] == job


def test_every_story_of_the_list_has_its_test():
    tests = daemon_module.TREE / "tests" / "integration"
    page = (daemon_module.TREE / "docs" / "TESTING.md").read_text(encoding="utf-8")
    stories = page.split("## Failure stories")[1]
    named = re.findall(r"`(\w+\.py)::(\w+)`", stories)
    assert len(named) > 15
    for file, name in named:
        assert f"def {name}(" in (tests / file).read_text(encoding="utf-8"), (file, name)
    cases = "".join(path.read_text(encoding="utf-8")
                    for path in (tests / "conformance").glob("*.py"))
    for name in re.findall(r"conformance `[A-Z ]+: (\w+)`", stories):
        assert f"def {name}(" in cases, name
