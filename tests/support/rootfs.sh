#!/bin/sh
# rootfs.sh - a small Debian with some packages, as a tarball for all later runs.
#
# rootfs.sh TARBALL SUITE PACKAGE ...: from the mirror that debian_mirror.sh finds, with what is in
# the folder OVERLAY over it. Needs root.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
tarball=$1
suite=$2
shift 2
mirror=$("$here/debian_mirror.sh" "$suite")

folder=$(mktemp -d "${TMPDIR:-/var/tmp}/awaitd-rootfs.XXXXXX")
chmod 755 "$folder" # it becomes / of the box
trap 'rm -rf --one-file-system "$folder"' EXIT
trap 'exit 1' INT TERM
echo "rootfs: debootstrap $suite"
log=$tarball.log
packages=$(printf '%s,' "$@")
# unsafe-io: nobody needs this folder after a power loss, and dpkg syncs every file
if ! DPKG_FORCE=unsafe-io debootstrap --variant=minbase "--include=${packages%,}" "$suite" \
    "$folder" "$mirror" > "$log" 2>&1; then
    tail -n 20 "$log" >&2
    echo "rootfs: debootstrap failed: $log" >&2
    exit 1
fi
rm -rf "$folder"/var/cache/apt/*.bin "$folder"/var/cache/apt/archives/*.deb \
    "$folder"/var/lib/apt/lists/* "$folder"/usr/share/doc "$folder"/usr/share/locale
[ -z "${OVERLAY:-}" ] || cp -R --preserve=mode "$OVERLAY/." "$folder"
tar -C "$folder" -cf "$tarball.new" .
mv "$tarball.new" "$tarball"
