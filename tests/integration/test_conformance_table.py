"""test_conformance_table.py - the conformance suite leaves out no command, option or documented
word."""

import re

import pytest

import conformance
from conformance import table
from harness import daemon as daemon_module

assert conformance

PROTOCOL_PAGE = daemon_module.TREE / "docs" / "PROTOCOL.md"
OPTIONS_SOURCES = daemon_module.TREE / "daemon" / "protocol"


def documented_syntax():
    """(command, word): what the lines of syntax in PROTOCOL.md write in capitals."""
    found = set()
    for block in re.findall(r"^```\n(.*?)^```", PROTOCOL_PAGE.read_text(encoding="utf-8"),
                            re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            if not re.match(r"[A-Z]{3,}", line):
                continue
            # Two commands may stand in one line, with a gap between them.
            for syntax in re.split(r"\s{3,}(?=[A-Z])", line.split("->")[0]):
                words = re.findall(r"[A-Z]{2,}", syntax)
                found |= {(words[0], word) for word in words}
    return found


def test_every_command_has_a_row(local):
    with local.connect() as client:
        commands = {name.decode().upper() for name in client.call("COMMAND", "LIST")}
    assert len(commands) > 40
    assert commands - {row.split()[0] for row in table.TABLE} == set()
    assert {row.split()[0] for row in table.TABLE} - commands == set()


def test_every_option_of_submit_has_a_row():
    listed = re.search(r"submit_option_table\[\] = \{(.*?)^\};",
                       "".join(path.read_text(encoding="utf-8")
                               for path in sorted(OPTIONS_SOURCES.glob("submit_option*.c"))),
                       re.MULTILINE | re.DOTALL)
    options = re.findall(r'\{"([A-Z]+)", \d+, (?:true|false), (true|false)', listed.group(1))
    assert len(options) >= 16
    rows = {row for row in table.TABLE if " " in row}
    assert {f"SUBMIT {word}" for word, _ in options} - rows == set()
    assert {f"RUN {word}" for word, run in options if run == "true"} - rows == set()


def test_every_documented_word_has_a_row():
    rows = {(row.split()[0], word) for row in table.TABLE for word in row.split()}
    documented = documented_syntax()
    assert {("RESERVE", "LEASE"), ("CRON", "MISFIRE"), ("QUEUE", "PURGE"), ("PSUBSCRIBE",) * 2} \
        <= documented
    commands = {row.split()[0] for row in table.TABLE}
    assert {pair for pair in documented - rows if pair[0] in commands} == set()


@pytest.mark.parametrize("aspect", table.ASPECTS)
def test_rows_and_cases_agree(aspect):
    cases = {"use": table.USES, "wrong": table.WRONGS, "restart": table.RESTARTS}[aspect]
    assert {case[0] for case in cases} == {
        row for row, aspects in table.TABLE.items() if aspect in aspects}
