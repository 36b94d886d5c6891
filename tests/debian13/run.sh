#!/bin/sh
# run.sh - `make test-debian13`: builds and tests a copy of the tree in a debootstrapped Debian 13.
#
# run.sh CACHE RESULT: CACHE keeps the root file system for the next run; RESULT gets "passed failed
# skipped". The box is a folder of its own that is deleted at the end; systemd-nspawn runs inside.sh
# in it, without network, and ends with it all that the tests may have left running.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
tree=$(cd "$here/../.." && pwd)
cache=$1
result=$2
limit_s=${LIMIT_S:-1500}

if [ "$(id -u)" -ne 0 ]; then
    echo 'test-debian13: needs root, to run a container: sudo make test-debian13' >&2
    exit 1
fi
mkdir -p "$cache" "$(dirname "$result")"
cache=$(cd "$cache" && pwd)
rm -f "$result" "$result.failures" "$result.xml"
packages=$("$here/../support/deps.sh" run --list)
# A change of what is in it makes another one.
tarball=$cache/rootfs-$({ cat "$here/rootfs.sh"; echo "$packages"; } | sha256sum | cut -c 1-12).tar
if [ ! -f "$tarball" ]; then
    rm -f "$cache"/rootfs-*
    # shellcheck disable=SC2086 # a list of names
    "$here/rootfs.sh" "$tarball" $packages
fi

box=$(mktemp -d /var/tmp/awaitd-debian13.XXXXXX)
trap 'rm -rf --one-file-system "$box"' EXIT
trap 'exit 1' INT TERM
root=$box/root
# /tmp of the box is on the disk like that of this machine, not in memory
mkdir -p "$root/src" "$box/shared" "$box/tmp"
chmod 755 "$root"
chmod 1777 "$box/tmp"
tar -C "$root" -xf "$tarball"
tar -C "$tree" -c --exclude-vcs --exclude=./build --exclude='./build-*' --exclude=__pycache__ . |
    tar -C "$root/src" -x

# nspawn's own filter has no io_uring (@aio) and no ptrace (@debug: strace, gdb, leak checks).
# IPC_LOCK: rings count against a limit of locked memory else, and the kernel frees them late.
code=0
timeout -k 20 "$limit_s" systemd-nspawn --quiet --directory="$root" \
    --machine="$(basename "$box" | tr . -)" --as-pid2 --register=no \
    --keep-unit --private-network --bind="$box/shared:/shared" --bind="$box/tmp:/tmp" \
    --system-call-filter='@aio @debug' --rlimit=NOFILE=65536 --capability=CAP_IPC_LOCK \
    --console=pipe --chdir=/src \
    /src/tests/debian13/inside.sh < /dev/null || code=$?
[ ! -f "$box/shared/results/sum" ] || cp "$box/shared/results/sum" "$result"
exit "$code"
