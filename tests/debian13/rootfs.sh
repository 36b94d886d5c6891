#!/bin/sh
# rootfs.sh - a Debian 13 with compiler, libraries and servers, as a tarball for later runs.
#
# rootfs.sh TARBALL PACKAGE ...: those of deps.sh, which have the same names as on Debian 12.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
tarball=$1
shift
suite=trixie
mirror=$("$here/../support/debian_mirror.sh" $suite)

folder=$(mktemp -d "${TMPDIR:-/var/tmp}/awaitd-debian13.XXXXXX")
chmod 755 "$folder" # it becomes / of the box
trap 'rm -rf --one-file-system "$folder"' EXIT
trap 'exit 1' INT TERM
echo "rootfs: debootstrap $suite"
log=$tarball.log
packages=$(printf '%s,' "$@")
# unsafe-io: nobody needs this folder after a power loss, and dpkg syncs every file
if ! DPKG_FORCE=unsafe-io debootstrap --variant=minbase "--include=${packages%,}" $suite \
    "$folder" "$mirror" > "$log" 2>&1; then
    tail -n 20 "$log" "$folder/debootstrap/debootstrap.log" >&2
    echo "rootfs: debootstrap failed: $log" >&2
    exit 1
fi
rm -rf "$folder"/var/cache/apt/*.bin "$folder"/var/cache/apt/archives/*.deb \
    "$folder"/var/lib/apt/lists/* "$folder"/usr/share/doc "$folder"/usr/share/locale
tar -C "$folder" -cf "$tarball.new" .
mv "$tarball.new" "$tarball"
