"""test_conformance_use.py - each row of conformance/table.py used as documented, and misused, in
both RESP versions. The cases share one daemon; each has a target and names of its own."""

import pytest

import conformance
from conformance import stage as stage_module
from conformance import table

assert conformance

PROTOCOLS = (2, 3)
USES = list(enumerate(table.USES))


@pytest.fixture(scope="module")
def shared():
    daemon = stage_module.start()
    yield daemon
    daemon.close()


@pytest.fixture
def make_stage(shared):
    stages = []

    def make(protocol, row, number):
        stages.append(stage_module.Stage(shared, protocol, row, number))
        return stages[-1]

    yield make
    for one in stages:
        one.close()


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("number, case", USES, ids=[table.case_name(*case) for _, case in USES])
def test_use(make_stage, number, case, protocol):
    row, function = case
    # The two versions must not share a worker target either.
    function(make_stage(protocol, row, 2 * number + protocol - 2))


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("row", [row for row in table.TABLE if "wrong" in table.TABLE[row]])
def test_wrong_use(make_stage, shared, row, protocol):
    stage = make_stage(protocol, row, 0)
    before = shared.info()["total_submitted"]
    for case in table.WRONGS:
        if case.row != row:
            continue
        names = {"WORKER": stage.worker, "LOCAL": "local", "QUEUE_NAME": stage.name}
        stage.refused([names.get(word, word) for word in case.words], case.message)
        assert stage.call("PING") == "PONG"
    assert shared.info()["total_submitted"] == before
