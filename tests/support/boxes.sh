#!/bin/sh
# boxes.sh - may a Debian be booted and an engine of containers run here? Needs root, namespaces and
# control groups. If not, prints the reason in one line and exits with 1. A mirror that does not
# answer is no reason: that fails.
set -u

refuse()
{
    echo "$1"
    exit 1
}

[ "$(id -u)" -eq 0 ] || refuse 'they need root: sudo make test'
unshare --net --mount --pid --fork --mount-proc true 2>/dev/null ||
    refuse 'no namespaces of its own may be made here'
[ -w /sys/fs/cgroup ] || refuse 'the control groups cannot be written to here'
