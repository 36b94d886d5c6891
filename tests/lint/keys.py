#!/usr/bin/env python3
"""keys.py - every key of daemon/config/config_keys.c is in config/awaitd.conf and awaitd.conf(5).

And the other way round; both pages that are generated are up to date; the tests that OPERATIONS.md
names exist.
"""

import pathlib
import re
import subprocess
import sys

KEYS = pathlib.Path("daemon/config/config_keys.c")
CONFIGURATION = pathlib.Path("config/awaitd.conf")
MANUAL = pathlib.Path("docs/man/awaitd.conf.5")
TABLE = re.compile(r"config_key (\w+)_keys\[\] = \{(.*?)^\};", re.S | re.M)


def known():
    """(section, key) of the tables."""
    return {(section, key) for section, body in TABLE.findall(KEYS.read_text(encoding="utf-8"))
            for key in re.findall(r'^    \{"(\w+)"', body, re.M)}


def described():
    """(section, key) of the configuration that is shipped."""
    found = set()
    section = None
    for line in CONFIGURATION.read_text(encoding="utf-8").splitlines():
        header = re.fullmatch(r";?\[(\w+)(?: [^]]+)?\]", line)
        key = re.match(r";?(\w+) =", line)
        if header:
            section = header.group(1)
        elif key:
            found.add((section, key.group(1)))
    return found


def absent_tests():
    """Names of tests in the operator's table of errors that are in no file."""
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`",
                       pathlib.Path("docs/OPERATIONS.md").read_text(encoding="utf-8"))
    for file, test in named:
        path = pathlib.Path("tests/integration") / file
        if not path.exists() or f"\ndef {test}(" not in path.read_text(encoding="utf-8"):
            yield f"docs/OPERATIONS.md: there is no {file}::{test}"


def main():
    wrong = [f"{CONFIGURATION}: lacks {key} of [{section}]"
             for section, key in sorted(known() - described())]
    wrong += [f"{KEYS}: does not know {key} of [{section}], which {CONFIGURATION} has"
              for section, key in sorted(described() - known())]
    manual = MANUAL.read_text(encoding="utf-8")
    wrong += [f"{MANUAL}: lacks {key}" for _, key in sorted(known())
              if f"\n\\fB{key}\\fR" not in manual]
    wrong += absent_tests()
    print("\n".join(wrong), end="\n" if wrong else "")
    stale = subprocess.run([sys.executable, "-B", "docs/man/generate.py", "--check"], check=False)
    return 1 if wrong or stale.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
