#!/bin/sh
# run_integration.sh - pytest over the tests with the real daemon against the binaries in $BUILD.
#
# run_integration.sh RESULT [pytest argument ...]
# Writes "passed failed skipped" to the file RESULT, and what failed, and why, to RESULT.failures.
set -u

result=$1
shift
python=${PYTHON:-/usr/bin/python3}
mkdir -p "$(dirname "$result")" || exit 1
report=$result.xml
rm -f "$report" "$result" "$result.failures"
[ $# -gt 0 ] || set -- tests/integration tests/crash tests/model
PYTHONDONTWRITEBYTECODE=1 "$python" -m pytest -q -p no:cacheprovider \
    -c tests/pytest.ini --rootdir tests --junitxml="$report" "$@"
code=$?
# An interrupted run leaves no report, and all.sh then counts the stage as failed.
[ -f "$report" ] && "$python" - "$report" "$result" <<'END'
import sys
import xml.etree.ElementTree
suite = next(xml.etree.ElementTree.parse(sys.argv[1]).iter("testsuite"))
count = {name: int(suite.get(name, "0")) for name in ("tests", "failures", "errors", "skipped")}
failed = count["failures"] + count["errors"]
with open(sys.argv[2], "w", encoding="utf-8") as file:
    file.write(f'{count["tests"] - failed - count["skipped"]} {failed} {count["skipped"]}\n')
if failed:
    with open(f"{sys.argv[2]}.failures", "w", encoding="utf-8") as file:
        for case in suite.iter("testcase"):
            for problem in (*case.iter("failure"), *case.iter("error")):
                file.write(f'{case.get("classname")}::{case.get("name")}\n')
                for line in (problem.text or problem.get("message") or "").splitlines()[-15:]:
                    file.write(f"    {line[:300]}\n")
END
exit "$code"
