"""test_awaitctl_cron.py - awaitctl cron: set, list, get, del, run."""

import pytest

from test_awaitctl import OK, REFUSED, USAGE, Awaitctl


@pytest.fixture
def ctl(local):
    return Awaitctl(local)


def test_a_schedule_from_set_to_del(ctl):
    assert ctl.run("cron", "list") == ""
    assert ctl.run("cron", "set", "nightly", "0 3 * * *", "--zone", "Europe/Berlin", "--misfire",
                   "skip", "--retry", 5, "--null", 2, "local", "SELECT ? IS NULL", "x") == ""
    listed = ctl.json("cron", "list")
    assert [(one["name"], one["zone"], one["misfire"], len(one["next"])) for one in listed] == \
        [("nightly", "Europe/Berlin", "skip", 5)]
    one = ctl.json("cron", "get", "nightly")
    assert one["command"] == ["RETRY", "5", "NULL", "2", "local", "SELECT ? IS NULL", "x"]
    assert one["last"] is None and one["expression"] == "0 3 * * *"
    job = ctl.run("cron", "run", "nightly").strip()
    assert ctl.run("await", job) == "1\n"
    assert ctl.run("cron", "del", "nightly") == ""
    ctl.run("cron", "del", "nightly", expect=REFUSED)
    assert "no schedule nightly" in ctl.said
    assert ctl.json("cron", "list", expect=OK) == []


def test_for_people(ctl):
    ctl.run("cron", "set", "new-year", "@yearly", "local", "SELECT 1")
    shown = ctl.on_terminal("cron", "list")
    assert "expression" in shown and "@yearly" in shown and "-01-01 00:00:00" in shown
    shown = ctl.on_terminal("cron", "get", "new-year")
    assert shown.count("-01-01 00:00:00") == 5
    assert "--json" not in ctl.run("cron", "list", "--json")
    line = ctl.run("cron", "list").split("\t")
    assert line[:4] == ["new-year", "@yearly", "UTC", "once"]


@pytest.mark.parametrize("words, code, said", [
    (["fetch"], USAGE, "takes set, list, get, del or run"),
    (["get"], USAGE, "needs one schedule's name"),
    (["list", "x"], USAGE, "list takes no name"),
    (["list", "--zone", "x"], USAGE, "unknown option --zone"),
    (["set", "a", "* * * * *"], USAGE, "set needs <name> <expression>"),
    (["set", "a", "* * * * *", "--wait", "local", "SELECT 1"], USAGE, "takes no --wait"),
    (["set", "a", "* * * * *", "--retry", "1"], USAGE, "needs a target"),
    (["set", "a", "* * * *", "local", "SELECT 1"], REFUSED, "not 4"),
    (["set", "a", "* * * * *", "--at", "08:00", "local", "SELECT 1"], REFUSED, "no option AT"),
    (["get", "none"], REFUSED, "no schedule 'none'"),
    (["run", "none"], REFUSED, "no schedule 'none'"),
])
def test_wrong_use(ctl, words, code, said):
    ctl.run("cron", *words, expect=code)
    assert said in ctl.said
