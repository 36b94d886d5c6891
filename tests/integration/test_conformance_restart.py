"""test_conformance_restart.py - each row of conformance/table.py that leaves something behind: the
daemon is stopped or killed in the middle of it, and what was answered holds.

A case is a generator that yields where the restart is. All of them are played up to there on one
daemon, which ends once; then each goes on."""

import pytest

import conformance
from conformance import stage as stage_module
from conformance import table

assert conformance

CASES = list(enumerate(table.RESTARTS))


class Play:
    """One case, stopped in its middle, or what went wrong on the way there."""

    def __init__(self, daemon, protocol, number, case, end):
        row, function = case
        self.problem = None
        self.stage = stage_module.Stage(daemon, protocol, row, number, end)
        self.generator = function(self.stage)
        try:
            next(self.generator)
        except Exception as problem:  # pylint: disable=broad-except
            self.problem = problem

    def go_on(self):
        if self.problem is not None:
            raise self.problem
        self.stage.reconnect()
        for _ in self.generator:
            raise AssertionError("a case has one restart")


@pytest.fixture(scope="module", params=[("stop", 2), ("stop", 3), ("kill", 2), ("kill", 3)],
                ids=lambda value: f"{value[0]}-RESP{value[1]}")
def plays(request):
    end, protocol = request.param
    daemon = stage_module.start()
    made = []
    try:
        for number, case in CASES:
            made.append(Play(daemon, protocol, number, case, end))
        if end == "stop":
            daemon.stop()
        else:
            daemon.kill()
        daemon.start()
        yield made
    finally:
        for one in made:
            one.stage.close()
        daemon.close()


@pytest.mark.parametrize("number", [number for number, _ in CASES],
                         ids=[table.case_name(*case) for _, case in CASES])
def test_restart_in_the_middle(plays, number):
    plays[number].go_on()
