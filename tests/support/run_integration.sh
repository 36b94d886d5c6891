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
# harness/process.py: of 8 classes; those of the stages that run side by side differ
PORT_CLASS=$(($(basename "$result" | cksum | cut -d ' ' -f 1) % 8))
export PORT_CLASS
report=$result.xml
rm -f "$report" "$result" "$result.failures"
[ $# -gt 0 ] || set -- tests/integration tests/crash tests/model
PYTHONDONTWRITEBYTECODE=1 "$python" -m pytest -q -p no:cacheprovider \
    -c tests/pytest.ini --rootdir tests --junitxml="$report" "$@"
code=$?
# An interrupted run leaves no report, and all.sh then counts the stage as failed.
if [ -f "$report" ]; then
    "$python" "$(dirname "$0")/count_report.py" "$report" "$result" || [ "$code" -ne 0 ] || code=1
fi
exit "$code"
