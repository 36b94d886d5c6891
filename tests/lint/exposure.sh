#!/bin/sh
# exposure.sh - what systemd says the shipped unit is exposed to, which may be at most 1.2.
#
# Prints the figure; exits 1 with systemd's list of what is open when it is higher. From 0 (nothing)
# to 10; docs/OPERATIONS.md says what is left open and why.
set -eu

limit=12 # tenths

if ! command -v systemd-analyze >/dev/null; then
    echo 'systemd-analyze is not installed: make deps'
    exit 1
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
sed 's|@SBINDIR@|/usr/sbin|g' systemd/awaitd.service > "$folder/awaitd.service"
code=0
report=$(systemd-analyze security --offline=yes --no-pager --threshold=$limit \
    "$folder/awaitd.service" 2>&1) || code=$?
[ "$code" -eq 0 ] || printf '%s\n' "$report" | grep -v '^✓' || :
printf '%s\n' "$report" | sed -n 's/.*Overall exposure level for [^:]*: \([0-9.]*\).*/\1/p'
exit "$code"
