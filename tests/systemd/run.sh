#!/bin/sh
# run.sh - `make test-systemd`: boots a Debian with systemd-nspawn and tests the packages in it.
#
# run.sh DEBS CACHE RESULT: DEBS is the folder of `make deb`; CACHE keeps the root file system for
# the next run; RESULT gets "passed failed skipped". The box is a folder of its own that is deleted
# at the end. Inside, awaitd-test.service runs pytest over inside/ and switches the box off.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
debs=$(cd "$1" && pwd)
cache=$2
result=$3
limit_s=${LIMIT_S:-840}

if [ "$(id -u)" -ne 0 ]; then
    echo 'test-systemd: needs root, to boot a system in a container: sudo make test-systemd' >&2
    exit 1
fi
mkdir -p "$cache" "$(dirname "$result")"
cache=$(cd "$cache" && pwd)
rm -f "$result" "$result.failures" "$result.xml"
# A change of what is in it makes another one.
tarball=$cache/rootfs-$(sha256sum "$here/rootfs.sh" | cut -c 1-12).tar
if [ ! -f "$tarball" ]; then
    rm -f "$cache"/rootfs-*
    "$here/rootfs.sh" "$tarball"
fi

box=$(mktemp -d /var/tmp/awaitd-box.XXXXXX)
trap 'rm -rf --one-file-system "$box"' EXIT
trap 'exit 1' INT TERM
root=$box/root
mkdir -p "$root" "$box/shared/debs"
tar -C "$root" -xf "$tarball"
cp -r "$here/inside" "$box/shared/tests"
cp "$here/../integration/harness/wire.py" "$box/shared/tests/"
cp "$debs"/awaitd_*.deb "$debs"/libawait*.deb "$box/shared/debs/"

# The next version: the same files under a higher number.
next=$box/next
dpkg-deb -R "$debs"/awaitd_*.deb "$next"
sed -i 's/^Version: .*/&+next/' "$next/DEBIAN/control"
mkdir "$box/shared/next"
dpkg-deb -b "$next" "$box/shared/next/awaitd.deb" > /dev/null

cat > "$root/etc/systemd/system/awaitd-test.service" <<END
[Unit]
Description=the tests of awaitd's packages
After=basic.target systemd-user-sessions.service
[Service]
Type=exec
WorkingDirectory=/shared/tests
ExecStart=/usr/bin/python3 -B -m pytest -p no:cacheprovider -s -ra --tb=short \
    --junitxml=/shared/report.xml $(printf '%s' "${TESTS:-}" | sed 's/%/%%/g')
StandardOutput=append:/shared/output
StandardError=append:/shared/output
ExecStopPost=/usr/bin/systemctl --no-block poweroff
END
ln -s ../awaitd-test.service "$root/etc/systemd/system/multi-user.target.wants/awaitd-test.service"

: > "$box/shared/output"
tail -n +1 -f "$box/shared/output" &
follower=$!
# nspawn's own filter has no io_uring, which is in @aio.
code=0
timeout -k 20 "$limit_s" systemd-nspawn --quiet --directory="$root" \
    --machine="$(basename "$box" | tr . -)" --boot --register=no \
    --keep-unit --private-network --bind="$box/shared:/shared" --system-call-filter=@aio \
    --console=read-only < /dev/null > "$box/boot.log" 2>&1 || code=$?
sleep 1
kill "$follower"
if [ ! -f "$box/shared/report.xml" ]; then
    tail -n 40 "$box/boot.log"
    echo "test-systemd: the box ended (exit code $code) without a report" >&2
    exit 1
fi
cp "$box/shared/report.xml" "$result.xml"
"${PYTHON:-/usr/bin/python3}" "$here/../support/count_report.py" "$result.xml" "$result"
