"""inventory.py - every public function is tested, and every one that waits is cancelled.

A unit test (tests/unit) must call each function of the public headers. One that may suspend and can
be interrupted must also be called in a file that cancels at each point: one that uses
support/cancel.h, or the table of test_suspension.c.
"""

import pathlib
import re
import sys

import source

sys.path.insert(0, "docs/man")
import contracts  # noqa: E402

UNITS = pathlib.Path("tests/unit")
SUPPORT = pathlib.Path("tests/support")
TABLE = "test_suspension.c"


def calls(paths):
    found = set()
    for path in paths:
        found.update(re.findall(r"\baw_\w+", source.code_only(source.text_of(path))))
    return found


def with_support(paths):
    """The tests and those files of tests/support whose headers they include."""
    names = {name for path in paths
             for name in re.findall(r'"support/(\w+)\.h"', source.text_of(path))}
    return [*paths, *(SUPPORT / f"{name}.c" for name in sorted(names))]


def check(complaints):
    units = sorted(UNITS.glob("*.c"))
    cancelling = [path for path in units
                  if path.name == TABLE or '"support/cancel.h"' in source.text_of(path)]
    called, cancelled = calls(with_support(units)), calls(with_support(cancelling))
    for header in contracts.read_all(pathlib.Path("lib/include/await")):
        path = pathlib.Path("lib/include/await") / header.name
        for contract in header.contracts:
            for function in contract.functions:
                if function.name not in called:
                    complaints.add(path, contract.line, f"{function.name}: no unit test calls it")
                elif function.suspends and contract.is_cancellation_point and \
                        function.name not in cancelled:
                    complaints.add(path, contract.line, f"{function.name}: no test cancels it at "
                                   "each of its suspensions (tests/support/cancel.h)")


if __name__ == "__main__":
    source.exit_with(check)
