#!/bin/sh
# all.sh - `make test`: every stage in turn, all of them even when one fails, and one summary.
#
# Each stage is a make target that leaves "passed failed skipped" in $RESULTS/<stage>; a stage that
# fails without saying how counts as one failure. The last line printed is `N passed, N failed`.
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
    $make -s --no-print-directory "$@" RESULT="$RESULTS/$name"
    code=$?
    [ -f "$RESULTS/$name" ] || echo '0 0 0' > "$RESULTS/$name"
    read -r passed failed skipped < "$RESULTS/$name"
    if [ "$code" -ne 0 ] && [ "$failed" -eq 0 ]; then
        failed=1
    fi
    echo "$passed $failed $skipped $(($(date +%s) - begin))" > "$RESULTS/$name"
}

stage build all
stage lint lint
stage units test-unit
stage sim test-sim SIM_SECONDS=5
stage integration test-integration
stage asan-units asan-units
stage asan-integration asan-integration

printf '\n%-18s %7s %7s %8s %8s\n' stage passed failed skipped seconds
total_passed=0
total_failed=0
for name in build lint units sim integration asan-units asan-integration; do
    read -r passed failed skipped seconds < "$RESULTS/$name"
    printf '%-18s %7d %7d %8d %8d\n' "$name" "$passed" "$failed" "$skipped" "$seconds"
    total_passed=$((total_passed + passed))
    total_failed=$((total_failed + failed))
done
echo "$total_passed passed, $total_failed failed"
[ "$total_failed" -eq 0 ]
