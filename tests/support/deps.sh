#!/bin/sh
# deps.sh - installs the Debian packages that the build or the tests need; `make deps` calls it.
#
# deps.sh build|run|tests|bench|node|deb|systemd|docker|docker-client ... [--list]
# Asks dpkg what is missing and installs only that. With everything there it does nothing: no
# network, no root. The names are the same on Debian 12, Debian 13 and Ubuntu 24.04.
set -eu

build='gcc libc6-dev make pkgconf liburing-dev libpq-dev libhiredis-dev libsqlite3-dev libinih-dev
  libsystemd-dev libssl-dev libcurl4-openssl-dev libjansson-dev libwslay-dev python3'
# what the units and the integration suite run with
run='libcriterion-dev libc6-dbg strace gdb postgresql redis-server redis-tools netcat-openbsd socat
  openssl ca-certificates libxml2-dev python3-pytest python3-redis python3-psycopg2
  python3-websockets pgbouncer valgrind zsh'
checks='clang clang-format clang-tidy libclang-rt-dev cppcheck shellcheck systemd'
# the peers that are measured against
bench='beanstalkd celery python3-celery python3-rq rsyslog rsyslog-pgsql pgbouncer curl golang-go
  python3-uvloop python3-aiohttp python3-asyncpg libuv1-dev'
# for the tests with ioredis
node='nodejs npm'
# the packages, and the Debian that boots with them
deb='debhelper dpkg-dev fakeroot lintian'
systemd='debootstrap systemd-container'
# databases in containers, and the file systems of their stand-ins
docker='docker.io docker-compose iptables iproute2 debootstrap'
# apart from docker.io since Debian 13
docker_client='docker-cli'

wanted=
list=false
for set in "$@"; do
    case $set in
    build) wanted="$wanted $build" ;;
    run) wanted="$wanted $build $run" ;;
    tests) wanted="$wanted $build $run $checks" ;;
    bench) wanted="$wanted $bench" ;;
    node) wanted="$wanted $node" ;;
    deb) wanted="$wanted $deb" ;;
    systemd) wanted="$wanted $systemd" ;;
    docker) wanted="$wanted $docker" ;;
    docker-client) wanted="$wanted $docker_client" ;;
    --list) list=true ;;
    *) wanted=; break ;;
    esac
done
if [ -z "$wanted" ]; then
    echo 'usage: deps.sh build|run|tests|bench|node|deb|systemd|docker|docker-client ...' >&2
    exit 2
fi
if $list; then
    for package in $wanted; do echo "$package"; done
    exit 0
fi

if ! command -v apt-get >/dev/null 2>&1 || ! command -v dpkg-query >/dev/null 2>&1; then
    echo 'deps: this system has no apt-get, so nothing was installed. Install what these Debian' >&2
    echo 'packages hold (docs/DEPENDENCIES.md says what each is for), then use make directly:' >&2
    # shellcheck disable=SC2086 # a list of words
    echo '  ' $wanted >&2
    exit 1
fi

missing=
for package in $wanted; do
    # one line for each architecture; dpkg knows some packages that are only `not-installed`
    # shellcheck disable=SC2016 # dpkg-query's own syntax
    dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -q -x installed ||
        missing="$missing $package"
done
if [ -z "$missing" ]; then
    exit 0
fi

as_root=
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
        echo "deps: not root and no sudo. As root: apt-get install$missing" >&2
        exit 1
    fi
    as_root=sudo
fi
echo "deps: installing$missing"
# A server that a package starts by itself is of no use to us (the tests start their own, in their
# own folders) but does no harm either.
$as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q
# shellcheck disable=SC2086 # a list of words
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing
