#!/bin/sh
# inside.sh - runs in the Debian 13: builds the tree in /src, tests it; counts: /shared/results/sum.
#
# Warnings are errors here. It runs the units, the simulator's bounded run and the whole integration
# suite. Left to Debian 12: the lint and its tests (they look at the tree, not at what it runs on),
# and the sanitizers' second run of all (its time).
set -eu

cd /src
export HOME=/root LC_ALL=C.UTF-8 WERROR=1 RESULTS=/shared/results
# What this userland is for; with an older one every test below would pass and prove nothing.
for minimum in 'libpq >= 17' 'liburing >= 2.9' 'hiredis >= 1.2' 'sqlite3 >= 3.46'; do
    pkg-config --print-errors "$minimum"
    name=${minimum%% *}
    echo "$name $(pkg-config --modversion "$name")"
done
gcc --version | head -n 1
# neither cppcheck nor shellcheck is here
export PYTEST_ADDOPTS=--ignore=tests/integration/test_lint.py
TEST_MAKE="make -j$(nproc)" exec tests/support/all.sh 'units sim' integration
