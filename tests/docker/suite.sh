#!/bin/sh
# suite.sh - run.sh's part beside the engine: images, containers, tests, and their removal.
#
# suite.sh PAIR ...; run.sh has set BOX, CACHE, DEBS and RESULT.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-/usr/bin/python3}
own_suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
PROJECT=$(basename "$BOX" | tr '[:upper:].' '[:lower:]-')
PASSWORD=$(od -An -N12 -tx1 /dev/urandom | tr -d ' \n')
AWAITD_IMAGE=$PROJECT-awaitd
export PROJECT PASSWORD AWAITD_IMAGE
if docker compose version > /dev/null 2>&1; then
    command='docker compose'
else
    command=docker-compose
fi
compose="$command --project-name $PROJECT --file $here/compose.yml"
log=$BOX/compose.log
images=

clean()
{
    $compose down --volumes --timeout 1 > "$log" 2>&1 || cat "$log" >&2
    for disk in "$BOX"/disks/*; do
        ! mountpoint -q "$disk" || umount "$disk"
    done
}
# shellcheck disable=SC2086 # a list of words
trap 'clean; [ -z "$images" ] || docker image rm --force $images > /dev/null' EXIT
trap 'exit 1' INT TERM

load() # SUITE
{
    "$here/stand_in.sh" make "$1"
    image=$("$here/stand_in.sh" load "$1")
    case "$images " in *" $image "*) ;; *) images="$images $image" ;; esac
}

start() # DATABASE STORE
{
    for service in "$@"; do
        mkdir -p "$BOX/disks/$service"
        mount -t tmpfs -o size=512m,mode=755 tmpfs "$BOX/disks/$service"
    done
    # shellcheck disable=SC2086 # the command may have options
    if [ "${STAND_INS:-}" != only ] && timeout 300 $compose up -d "$@" > "$log" 2>&1; then
        return
    fi
    [ "${STAND_INS:-}" = only ] || echo 'test-docker: no stock images here, so stand-ins are used'
    load "$("$here/stand_in.sh" suite "$1")"
    DATABASE_IMAGE=$image
    load "$("$here/stand_in.sh" suite "$2")"
    STORE_IMAGE=$image
    export DATABASE_IMAGE STORE_IMAGE
    $compose up -d "$@" > "$log" 2>&1 || { cat "$log"; exit 1; }
}

# An authority of its own that vouches for the servers by every name they have; one that does not.
mkdir "$BOX/tls"
for name in server stranger; do
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=awaitd-test \
        -addext "subjectAltName=IP:127.0.0.1,DNS:postgres15,DNS:postgres17,DNS:redis,DNS:valkey" \
        -keyout "$BOX/tls/$name.key" -out "$BOX/tls/$name.crt" 2> "$log" || { cat "$log"; exit 1; }
done
chmod 644 "$BOX"/tls/*

# shellcheck disable=SC2046 # three words
set -- $($python -c '
import socket
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
print(*(one.getsockname()[1] for one in sockets))') "$@"
DATABASE_PORT=$1 STORE_PORT=$2 STORE_TLS_PORT=$3
export DATABASE_PORT STORE_PORT STORE_TLS_PORT
shift 3

# awaitd's own image: the packages on the Debian they were made for
context=$BOX/image
mkdir "$context"
cp "$DEBS"/awaitd_*.deb "$here/../../config/docker/Dockerfile" "$context"
build() # BASE
{
    docker build --quiet --tag "$AWAITD_IMAGE" --build-arg "BASE=$1" "$context" > "$log" 2>&1
}
if [ "${STAND_INS:-}" = only ] || ! build "$(. /etc/os-release && echo "$ID:$own_suite")"; then
    load "$own_suite"
    build "$image" || { cat "$log"; exit 1; }
fi
images="$images $AWAITD_IMAGE"

code=0
results=
for pair in "$@"; do
    DATABASE=${pair%+*} STORE=${pair#*+}
    export DATABASE STORE
    echo "test-docker: $DATABASE, $STORE"
    start "$DATABASE" "$STORE"
    results="$results $RESULT.$pair"
    # TESTS is written for a shell, with quotes
    eval "set -- ${TESTS:-$SUITE tests/docker}"
    "$here/../support/run_integration.sh" "$RESULT.$pair" "$@" || code=1
    [ -f "$RESULT.$pair" ] || echo '0 1 0' > "$RESULT.$pair"
    [ ! -f "$RESULT.$pair.failures" ] || cat "$RESULT.$pair.failures" >> "$RESULT.failures"
    clean
done
# shellcheck disable=SC2086 # a list of words
awk '{ passed += $1; failed += $2; skipped += $3 }
    END { print passed, failed, skipped > result; print passed " passed, " failed " failed" }' \
    result="$RESULT" $results
exit $code
