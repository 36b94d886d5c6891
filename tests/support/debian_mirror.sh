#!/bin/sh
# debian_mirror.sh - prints the mirror that this machine's apt uses for a suite of Debian.
#
# debian_mirror.sh SUITE: for example bookworm. DEBIAN_MIRROR overrides it.
set -eu

suite=$1

if [ -z "${DEBIAN_MIRROR:-}" ]; then
    # shellcheck disable=SC2016 # apt's own syntax
    mirrors()
    {
        apt-get indextargets --format '$(ORIGIN) $(CODENAME) $(REPO_URI)' 'Created-By: Packages' |
            sed -n 's/^Debian \([a-z]*\) \(http.*\)/\1 \2/p'
    }
    [ -n "$(mirrors)" ] || apt-get update -q >&2
    # The suite itself, not its updates; on another Debian its mirror has this suite too.
    DEBIAN_MIRROR=$(mirrors | sort -k "1,1" | awk -v suite="$suite" '
        $1 == suite { print $2; found = 1; exit }
        first == "" { first = $2 }
        END { if (!found) print first }')
fi
if [ -z "$DEBIAN_MIRROR" ]; then
    echo 'apt has no source of Debian here: set DEBIAN_MIRROR=http://...' >&2
    exit 1
fi
echo "$DEBIAN_MIRROR"
