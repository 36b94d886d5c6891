#!/bin/sh
# boxes.sh - can this machine boot a Debian and run an engine of containers? Needs root, namespaces,
# and a mirror for debootstrap. If not, prints the reason in one line and exits with 1.
set -u

here=$(cd "$(dirname "$0")" && pwd)

refuse()
{
    echo "$1"
    exit 1
}

[ "$(id -u)" -eq 0 ] || refuse 'they need root: sudo make test'
unshare --net --mount --pid --fork --mount-proc true 2>/dev/null ||
    refuse 'no namespaces of its own may be made here'
[ -w /sys/fs/cgroup ] || refuse 'the control groups cannot be written to here'
mirror=$("$here/debian_mirror.sh" "$(. /etc/os-release && echo "$VERSION_CODENAME")" 2>/dev/null) ||
    refuse 'apt has no source of Debian: set DEBIAN_MIRROR=http://...'
python3 - "$mirror" <<'END' || refuse "the mirror of apt's sources does not answer: $mirror"
import sys
import urllib.request
urllib.request.urlopen(sys.argv[1], timeout=20).close()
END
