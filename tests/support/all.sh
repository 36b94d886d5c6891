#!/bin/sh
# all.sh - runs stages, each a make target, and sums them up; the last line is `N passed, N failed`.
#
# all.sh LANE ...: a lane is one word of stages, 'lint units sim'. The stage `build` goes first;
# then the lanes run side by side, the stages of a lane in turn, all of them even when one fails.
# (Tests wait more than they compute: one lane alone leaves the processors idle.)
#
# A stage leaves "passed failed skipped" in $RESULTS/<stage>; one that fails without saying how is
# one failure. $RESULTS/sum gets all of them together. What a stage printed is in
# $RESULTS/<stage>.log and shown when it has ended. What failed, and why, is printed again at the
# end: from $RESULTS/<stage>.failures, or the end of the log.
set -u

TEST_MAKE=${TEST_MAKE:-make}
RESULTS=${RESULTS:-build/results}
export TEST_MAKE RESULTS

target_of()
{
    case $1 in
    build) echo 'all programs' ;;
    units) echo test-unit ;;
    sim) echo 'test-sim SIM_SECONDS=5' ;;
    lint | asan-*) echo "$1" ;;
    *) echo "test-$1" ;;
    esac
}

stage()
{
    name=$1
    echo "== $name begins"
    begin=$(date +%s)
    # A file, no pipe: a server left behind would hold that open for ever.
    # shellcheck disable=SC2046,SC2086 # words
    $TEST_MAKE -s --no-print-directory $(target_of "$name") RESULT="$RESULTS/$name" \
        > "$RESULTS/$name.log" 2>&1
    code=$?
    [ -f "$RESULTS/$name" ] || echo '0 0 0' > "$RESULTS/$name"
    read -r passed failed skipped < "$RESULTS/$name"
    if [ "$code" -ne 0 ] && [ "$failed" -eq 0 ]; then
        failed=1
    fi
    seconds=$(($(date +%s) - begin))
    echo "$passed $failed $skipped $seconds" > "$RESULTS/$name"
    {
        flock 9 # one stage's output at a time
        cat "$RESULTS/$name.log"
        echo "== $name has ended: $passed passed, $failed failed, $seconds s"
    } 9> "$RESULTS/printing"
}

failures()
{
    printf '\nfailed in %s:\n' "$1"
    if [ -s "$RESULTS/$1.failures" ]; then
        head -n 150 "$RESULTS/$1.failures"
    elif [ -f "$RESULTS/$1.log" ]; then
        tail -n 40 "$RESULTS/$1.log"
    else
        echo 'it never began, or left nothing'
    fi | sed 's/^/  /'
}

if [ "${1:-}" = --lane ]; then
    shift
    for name in "$@"; do
        stage "$name"
    done
    exit 0
fi

rm -rf "$RESULTS"
mkdir -p "$RESULTS" || exit 1
RESULTS=$(cd "$RESULTS" && pwd)

# Each lane is a session, so that an interruption reaches all that it started.
lanes=
end_lanes()
{
    for lane in $lanes; do
        kill -TERM -- "-$lane"
    done
    wait
    exit 1
}
trap end_lanes INT TERM
stage build
for words in "$@"; do
    # shellcheck disable=SC2086 # a list of names
    setsid "$0" --lane $words &
    lanes="$lanes $!"
done
wait

printf '\n%-18s %7s %7s %8s %8s\n' stage passed failed skipped seconds
total_passed=0
total_failed=0
total_skipped=0
broken=
# shellcheck disable=SC2048 # every word of every lane
for name in build $*; do
    passed=0 failed=1 skipped=0 seconds=0 # of one that left nothing
    [ ! -s "$RESULTS/$name" ] || read -r passed failed skipped seconds < "$RESULTS/$name"
    printf '%-18s %7d %7d %8d %8d\n' "$name" "$passed" "$failed" "$skipped" "$seconds"
    total_passed=$((total_passed + passed))
    total_failed=$((total_failed + failed))
    total_skipped=$((total_skipped + skipped))
    [ "$failed" -eq 0 ] || broken="$broken $name"
done
for name in $broken; do
    failures "$name"
done
echo "$total_passed $total_failed $total_skipped" > "$RESULTS/sum"
[ -z "${NOT_RUN:-}" ] || echo "not run: $NOT_RUN"
echo "$total_passed passed, $total_failed failed"
[ "$total_failed" -eq 0 ]
