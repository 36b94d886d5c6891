#!/bin/sh
# run.sh - `make test-sim`: a bounded run of each scenario, and proof that planted defects are seen.
#
# run.sh PROGRAM SECONDS [RESULT]: the seeds depend on the date, so that different days try
# different ones; SIM_FIRST=n begins at seed n. Writes "passed failed skipped" to RESULT.
set -u

program=$1
seconds=$2
result=${3:-}
first=${SIM_FIRST:-$(date +%Y%m%d0000)}
passed=0
failed=0

check()
{
    if "$@"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
    fi
}

for scenario in sqlite queue; do
    check "$program" --scenario "$scenario" --first 1 --seeds 100
    check "$program" --scenario "$scenario" --first "$first" --seconds "$seconds"
    check "$program" --scenario "$scenario" --prove
done

if [ -n "$result" ]; then
    mkdir -p "$(dirname "$result")"
    echo "$passed $failed 0" > "$result"
fi
echo "sim: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
