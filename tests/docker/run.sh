#!/bin/sh
# run.sh - `make test-docker`: the integration suite's database tests, and stories of outages,
# against databases in containers; awaitd in a container.
#
# run.sh DEBS CACHE RESULT PAIR ...: DEBS is the folder of `make deb`; CACHE keeps the file systems
# of stand-in images for the next run; RESULT gets "passed failed skipped". A PAIR names two
# services of compose.yml, such as postgres15+redis; everything runs once for each. TESTS names a
# part.
#
# An engine that answers is used, with stock images where it has or gets them. If none answers (or
# STAND_INS=only), Debian's dockerd is started for the length of the test. Needs root: for the file
# systems of stand-ins, for small disks, to slow a container's network.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
DEBS=$(cd "$1" && pwd)
cache=$2
RESULT=$3
shift 3

if [ "$(id -u)" -ne 0 ]; then
    echo 'test-docker: needs root, for images and small disks: sudo make test-docker' >&2
    exit 1
fi
mkdir -p "$cache" "$(dirname "$RESULT")"
CACHE=$(cd "$cache" && pwd)
RESULT=$(cd "$(dirname "$RESULT")" && pwd)/$(basename "$RESULT")
rm -f "$RESULT" "$RESULT.failures" # and not the log, which lies beside it

BOX=$(mktemp -d /var/tmp/awaitd-docker.XXXXXX)
chmod 755 "$BOX"
trap 'rm -rf --one-file-system "$BOX"' EXIT
trap 'exit 1' INT TERM
export DEBS CACHE RESULT BOX

if [ "${STAND_INS:-}" != only ] && docker info > /dev/null 2>&1; then
    "$here/suite.sh" "$@"
    exit
fi
echo 'test-docker: an engine of its own, with stand-in images'
export STAND_INS=only
# now: the engine has no network to get packages from
"$here/stand_in.sh" make "$(. /etc/os-release && echo "$VERSION_CODENAME")"
for pair in "$@"; do
    for service in $(echo "$pair" | tr + ' '); do
        "$here/stand_in.sh" make "$("$here/stand_in.sh" suite "$service")"
    done
done
"$here/engine.sh" "$BOX" "$here/suite.sh" "$@"
