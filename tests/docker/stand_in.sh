#!/bin/sh
# stand_in.sh - images of the distribution's own packages, for where no registry can be reached.
#
# stand_in.sh suite SERVICE  the suite of Debian that has the version of a service of compose.yml
# stand_in.sh make SUITE     its file system, in $CACHE, unless it is there (root, and apt's mirror)
# stand_in.sh load SUITE     imports it as awaitd-stand-in:SUITE, unless the engine has that
set -eu

here=$(cd "$(dirname "$0")" && pwd)

# What awaitd's own package depends on, so that it can be installed without network. Alternatives
# begin with systemd itself, which a container does not need.
own_packages()
{
    dpkg-deb -f "$(echo "$DEBS"/awaitd_*.deb)" Depends Recommends |
        sed 's/^[A-Z][a-z]*: //; s/([^)]*)//g; s/\([a-z]*\) *|[^,]*/\1/g
            s/\bsystemd\b/systemd-standalone-sysusers/' |
        tr ',\n' '  '
}

packages()
{
    case $1 in
    bookworm) echo postgresql redis-server ;;
    trixie) echo postgresql valkey-server ;;
    *) echo "stand_in: nobody knows what to take from the suite $1" >&2; exit 2 ;;
    esac
    [ "$1" != "$(. /etc/os-release && echo "$VERSION_CODENAME")" ] || own_packages
}

tarball()
{
    key=$({ cat "$here/../support/rootfs.sh" "$here/entrypoint.sh"; packages "$1"; } | sha256sum)
    echo "$CACHE/$1-$(echo "$key" | cut -c 1-12).tar"
}

case $1 in
suite)
    case $2 in
    postgres15 | redis) echo bookworm ;;
    postgres17 | valkey) echo trixie ;;
    *) echo "stand_in: no such service: $2" >&2; exit 2 ;;
    esac
    ;;
make)
    tarball=$(tarball "$2")
    if [ ! -f "$tarball" ]; then
        rm -f "$CACHE/$2"-*
        OVERLAY=$(mktemp -d)
        export OVERLAY
        trap 'rm -r "$OVERLAY"' EXIT
        trap 'exit 1' INT TERM
        chmod 755 "$OVERLAY"
        mkdir -p "$OVERLAY/usr/local/bin" "$OVERLAY/etc/apt"
        cp "$here/entrypoint.sh" "$OVERLAY/usr/local/bin/docker-entrypoint.sh"
        # no sources: in a container apt shall find nothing missing and ask nobody
        : > "$OVERLAY/etc/apt/sources.list"
        # shellcheck disable=SC2046 # a list of words
        "$here/../support/rootfs.sh" "$tarball" "$2" $(packages "$2")
    fi
    ;;
load)
    image=awaitd-stand-in:$2
    if ! docker image inspect "$image" > /dev/null 2>&1; then
        docker import --change 'WORKDIR /data' \
            --change 'ENTRYPOINT ["/usr/local/bin/docker-entrypoint.sh"]' \
            "$(tarball "$2")" "$image" > /dev/null
    fi
    echo "$image"
    ;;
esac
