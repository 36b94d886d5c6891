#!/bin/sh
# rootfs.sh - a Debian 12 with systemd, the servers and pytest, as a tarball for all later runs.
#
# rootfs.sh TARBALL
set -eu

here=$(cd "$(dirname "$0")" && pwd)
tarball=$1
suite=bookworm
# What awaitd's packages depend on and what the tests drive it with: the booted box has no network.
packages='libhiredis0.14,libinih1,libpq5,libsqlite3-0,libssl3,libsystemd0,liburing2,libcurl4'
packages="$packages,libwslay1"
tools='systemd,systemd-sysv,dbus,libpam-systemd,procps,python3,python3-pytest'
servers='postgresql,redis-server'

mirror=$("$here/../support/debian_mirror.sh" $suite)

folder=$(mktemp -d "${TMPDIR:-/var/tmp}/awaitd-rootfs.XXXXXX")
chmod 755 "$folder" # it becomes / of the box
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM
echo "rootfs: debootstrap $suite"
log=$tarball.log
# unsafe-io: nobody needs this folder after a power loss, and dpkg syncs every file
if ! DPKG_FORCE=unsafe-io debootstrap --variant=minbase "--include=$packages,$tools,$servers" \
    $suite "$folder" "$mirror" > "$log" 2>&1; then
    tail -n 20 "$log" >&2
    echo "rootfs: debootstrap failed: $log" >&2
    exit 1
fi
# The tests start the servers when they need them.
for unit in postgresql.service redis-server.service; do
    systemctl --quiet --root="$folder" disable "$unit"
done
rm -rf "$folder"/var/cache/apt/*.bin "$folder"/var/cache/apt/archives/*.deb \
    "$folder"/var/lib/apt/lists/* "$folder"/usr/share/doc "$folder"/usr/share/locale
tar -C "$folder" -cf "$tarball.new" .
mv "$tarball.new" "$tarball"
