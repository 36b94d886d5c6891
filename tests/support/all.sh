#!/bin/sh
# all.sh - `make test`: every stage in turn, all of them even when one fails, and one summary.
#
# Each stage is a make target that leaves "passed failed skipped" in $RESULTS/<stage>; a stage that
# fails without saying how counts as one failure. What failed, and why, is printed again at the end:
# from $RESULTS/<stage>.failures, or the end of its output. The last line is `N passed, N failed`.
set -u

make=${TEST_MAKE:-make}
RESULTS=${RESULTS:-build/results}
rm -rf "$RESULTS"
mkdir -p "$RESULTS" || exit 1
RESULTS=$(cd "$RESULTS" && pwd)

stage()
{
    name=$1
    shift
    printf '\n== %s\n' "$name"
    begin=$(date +%s)
    # shellcheck disable=SC2086 # TEST_MAKE may hold options
    case $name in
    # They say themselves what failed. No pipe: a server left behind would hold it open for ever.
    units | *-units | *integration)
        $make -s --no-print-directory "$@" RESULT="$RESULTS/$name"
        code=$?
        ;;
    *)
        $make -s --no-print-directory "$@" RESULT="$RESULTS/$name" > "$RESULTS/$name.log" 2>&1
        code=$?
        cat "$RESULTS/$name.log"
        ;;
    esac
    [ -f "$RESULTS/$name" ] || echo '0 0 0' > "$RESULTS/$name"
    read -r passed failed skipped < "$RESULTS/$name"
    if [ "$code" -ne 0 ] && [ "$failed" -eq 0 ]; then
        failed=1
    fi
    echo "$passed $failed $skipped $(($(date +%s) - begin))" > "$RESULTS/$name"
}

failures()
{
    printf '\nfailed in %s:\n' "$1"
    if [ -s "$RESULTS/$1.failures" ]; then
        head -n 150 "$RESULTS/$1.failures"
    elif [ -f "$RESULTS/$1.log" ]; then
        tail -n 40 "$RESULTS/$1.log"
    else
        echo 'it ended without a result: see above'
    fi | sed 's/^/  /'
}

stage build all
stage lint lint
stage units test-unit
stage sim test-sim SIM_SECONDS=5
stage integration test-integration
stage asan-units asan-units
stage asan-integration asan-integration

stages='build lint units sim integration asan-units asan-integration'
printf '\n%-18s %7s %7s %8s %8s\n' stage passed failed skipped seconds
total_passed=0
total_failed=0
for name in $stages; do
    read -r passed failed skipped seconds < "$RESULTS/$name"
    printf '%-18s %7d %7d %8d %8d\n' "$name" "$passed" "$failed" "$skipped" "$seconds"
    total_passed=$((total_passed + passed))
    total_failed=$((total_failed + failed))
done
for name in $stages; do
    read -r _ failed _ < "$RESULTS/$name"
    [ "$failed" -eq 0 ] || failures "$name"
done
echo "$total_passed passed, $total_failed failed"
[ "$total_failed" -eq 0 ]
