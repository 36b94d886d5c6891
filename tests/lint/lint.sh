#!/bin/sh
# lint.sh - `make lint`: the rules of the tree, each counted as one check; quick, no network.
#
# lint.sh [RESULT]: prints what breaks a rule as file:line: text, writes "passed failed skipped" to
# RESULT, exits 1 when a check failed. Runs on the tree in the current folder.
set -u

here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-/usr/bin/python3}
build=${BUILD:-build}
result=${1:-}
passed=0
failed=0

check()
{
    name=$1
    shift
    if output=$("$@" 2>&1); then
        passed=$((passed + 1))
        echo "  ok   $name"
    else
        failed=$((failed + 1))
        echo "  FAIL $name"
        printf '%s\n' "$output"
    fi
}

check_cppcheck()
{
    command -v cppcheck >/dev/null || { echo 'cppcheck is not installed: make deps'; return 1; }
    mkdir -p "$build/cppcheck" || return 1
    # Whole-program checks (unused functions, missing headers) are the work of linker and compiler.
    cppcheck --quiet --error-exitcode=1 --std=c11 --language=c --platform=unix64 -j 2 \
        --enable=warning,performance,portability --inline-suppr \
        --cppcheck-build-dir="$build/cppcheck" --suppressions-list="$here/cppcheck.txt" \
        --template='{file}:{line}: {id}: {message}' -D__linux__ -D__GNUC__=12 -D_GNU_SOURCE \
        -DAWAITD_VERSION='"lint"' -Ilib/include -Ilib -Idaemon lib daemon
}

check_shell()
{
    command -v shellcheck >/dev/null || { echo 'shellcheck is not installed: make deps'; return 1; }
    scripts=$(grep -rlIE --exclude='*.md' --exclude='*.[1-9]' \
        '^#!/(usr/bin/env (ba)?sh|bin/(ba)?sh)' \
        tests .ci daemon lib config systemd docs debian 2>/dev/null | sort)
    # shellcheck disable=SC2086 # a list of names without blanks
    [ -z "$scripts" ] || shellcheck -x $scripts
}

check 'layers: who includes whom, who calls the system' "$python" -B "$here/layers.py"
check 'shape: sizes, columns, heads, unfinished work' "$python" -B "$here/shape.py"
check 'public headers: exported and documented' "$python" -B "$here/headers.py"
check 'contracts: of each public function, and docs/REFERENCE.md' \
    "$python" -B docs/man/reference.py --check
check 'inventory: each public function tested, each wait cancelled' \
    "$python" -B "$here/inventory.py"
check 'keys: configuration and manual pages have all' "$python" -B "$here/keys.py"
check 'top level: the agreed entries only' "$python" -B "$here/toplevel.py"
check 'exposure of the shipped unit, at most 1.2' "$here/exposure.sh"
echo "         it is $(printf '%s\n' "$output" | tail -n 1)"
check 'shellcheck' check_shell
check 'cppcheck' check_cppcheck

if [ -n "$result" ]; then
    mkdir -p "$(dirname "$result")"
    echo "$passed $failed 0" > "$result"
fi
echo "lint: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
