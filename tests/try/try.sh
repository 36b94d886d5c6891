#!/bin/bash
# try.sh - shows on this machine what awaitd does, in under a minute: `make try`.
#
# Starts a daemon of its own in a temporary folder with a SQLite file as its target, so nothing
# else is needed, and tells a short story in four acts. What is printed after "$" is exactly what
# is run. Each act checks what it promises; the first one that does not ends the story with exit
# code 1.
#
# PostgreSQL and Redis are shown too where they answer: DATABASE_URL or PGHOST, else the usual
# socket and port; REDIS_URL, else port 6379. They are only asked, except for one Redis key that
# expires in a minute.
#
# Usage: tests/try/try.sh [build folder]     (default: $BUILD, else build)
# shellcheck disable=SC2016  # commands are shown before the shell expands them
set -u -o pipefail

source_folder=$(cd "$(dirname "$0")/../.." && pwd)
build=${1:-${BUILD:-build}}
[[ $build == /* ]] || build=$source_folder/$build
folder=''
daemon=''

bold='' plain='' dim='' good='' bad=''
if [[ -t 1 && -z ${NO_COLOR:-} && ${TERM:-dumb} != dumb ]]; then
    bold=$'\e[1m' plain=$'\e[0m' dim=$'\e[2m' good=$'\e[32m' bad=$'\e[31m'
fi

# --- telling --------------------------------------------------------------------------------------

title() { printf '\n%s%s%s\n' "$bold" "$1" "$plain"; }
say() { printf '%s\n' "$@"; }
kept() { printf '  %s✓ %s%s\n' "$good" "$1" "$plain"; }

fail() {
    printf '\n%smake try failed: %s%s\n' "$bad" "$1" "$plain" >&2
    if [[ -s $folder/awaitd.log ]]; then
        printf 'The last lines of the daemon (the folder is removed now):\n' >&2
        tail -n 20 "$folder/awaitd.log" | sed 's/^/  | /' >&2
    fi
    exit 1
}

output='' status=0 id=''
postgres_hint='DATABASE_URL=postgresql://user@host/database make try'

# Shows a command and runs it in this shell; its output stays in $output, its exit code in $status.
run() {
    printf '  %s$ %s%s\n' "$dim" "$1" "$plain"
    eval "$1" >"$folder/output" 2>&1
    status=$?
    output=$(<"$folder/output")
    sed 's/^/    /' "$folder/output"
}

now_ms() { local now=${EPOCHREALTIME/[.,]/}; printf '%s' "$((now / 1000))"; }

# --- the daemon -----------------------------------------------------------------------------------

clean_up() {
    stop_daemon TERM
    [[ -n $folder ]] && rm -rf -- "$folder"
}

stop_daemon() {
    [[ -n $daemon ]] || return 0
    kill -s "$1" "$daemon" 2>/dev/null
    wait "$daemon" 2>/dev/null
    daemon=''
}

start_daemon() {
    awaitd --config "$folder/awaitd.conf" >>"$folder/awaitd.log" 2>&1 &
    daemon=$!
    disown "$daemon" 2>/dev/null
    local tries
    for ((tries = 0; tries < 600; tries++)); do
        awaitctl ping >/dev/null 2>&1 && return 0
        kill -0 "$daemon" 2>/dev/null || break
        sleep 0.1
    done
    fail "the daemon did not start; awaitd --check names what is missing"
}

write_configuration() {
    cat >"$folder/awaitd.conf" <<END
[daemon]
state = $folder/state

[socket main]
path = $AWAITD_SOCKET
mode = 0600
allow = all

[target local]
type = sqlite
path = local.db
END
    [[ -z $postgres_uri ]] || printf '\n[target main]\ntype = postgres\nuri = %s\n' \
        "$postgres_uri" >>"$folder/awaitd.conf"
    [[ -z $redis_uri ]] || printf '\n[target cache]\ntype = redis\nuri = %s\n' \
        "$redis_uri" >>"$folder/awaitd.conf"
}

port_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

find_servers() {
    postgres_uri=${DATABASE_URL:-}
    redis_uri=${REDIS_URL:-}
    if [[ -z $postgres_uri ]]; then
        if [[ -n ${PGHOST:-} ]]; then
            postgres_uri=postgresql://
        elif [[ -S /var/run/postgresql/.s.PGSQL.5432 ]]; then
            postgres_uri='postgresql:///postgres?host=/var/run/postgresql'
        elif port_open 5432; then
            postgres_uri=postgresql://localhost:5432/postgres
        fi
    fi
    if [[ -z $redis_uri ]] && port_open 6379; then
        redis_uri=redis://localhost:6379/0
    fi
}

set_the_stage() {
    if [[ ! -x $build/awaitd || ! -x $build/awaitctl ]]; then
        printf 'make try: no awaitd in %s; run it as: make try\n' "$build" >&2
        exit 1
    fi
    folder=$(mktemp -d "${TMPDIR:-/tmp}/awaitd-try.XXXXXX") || exit 1
    trap clean_up EXIT
    trap 'exit 130' INT TERM
    mkdir -m 700 "$folder/state"
    export PATH=$build:$PATH AWAITD_SOCKET=$folder/awaitd.sock
    find_servers
    write_configuration
    start_daemon
}

# --- the acts -------------------------------------------------------------------------------------

three_at_once() {
    title '1. Three slow queries, awaited together'
    say 'Each takes a second. The daemon runs them at the same time, on one thread.'
    local begin elapsed
    begin=$(now_ms)
    run 'a=$(awaitctl submit local "SELECT sleep(1000)")'
    run 'b=$(awaitctl submit local "SELECT sleep(1000)")'
    run 'c=$(awaitctl submit local "SELECT sleep(1000)")'
    run 'awaitctl --table gather $a $b $c'
    elapsed=$(($(now_ms) - begin))
    [[ $status == 0 ]] || fail "gather ended with exit code $status"
    ((elapsed >= 1000)) || fail "three sleeps of a second were over after $elapsed ms"
    took "three seconds of work" "$elapsed"
}

# Says how long it took, and whether the machine was too busy to show more. It fails nothing: that
# jobs run at the same time is what the tests prove, without a clock.
took() {
    local seconds=$(($2 / 1000)).$(($2 % 1000 / 100))
    if (($2 < 3000)); then
        kept "$1 in $seconds seconds"
    else
        say "  $1 in $seconds seconds: this machine is busy with something else."
    fi
}

durable_write() {
    title '2. A durable write'
    say 'submit prints the id only once the job is on the disk. Who wants the result awaits it.'
    run 'awaitctl run local "CREATE TABLE visits (page TEXT UNIQUE NOT NULL)"'
    [[ $status == 0 ]] || fail 'the table could not be created'
    run 'id=$(awaitctl submit local "INSERT INTO visits VALUES (?)" /index.html)'
    [[ $status == 0 ]] || fail 'the write was not accepted'
    run 'awaitctl await $id'
    [[ $output == 'INSERT 0 1' ]] || fail "the write answered '$output', not 'INSERT 0 1'"
    run 'awaitctl --table run local "SELECT * FROM visits"'
    [[ $output == */index.html* ]] || fail 'the row is not there'
    kept 'written, and there to be read'
}

failing_jobs() {
    title '3. Jobs that fail'
    say 'This one never gets done in its 200 ms. It is tried again twice, then it is dead,' \
        'with its reason.'
    run 'id=$(awaitctl submit --timeout 200ms --retry 2 --backoff 100ms,200ms \
        local "SELECT sleep(5000)")'
    run 'awaitctl await $id'
    [[ $status == 1 && $output == *FAILED*TIMEOUT* ]] ||
        fail "expected exit code 1 and FAILED TIMEOUT, got $status and '$output'"
    run 'awaitctl job $id | grep -E "^(state|attempts|error)"'
    [[ $output == *dead* ]] || fail 'the job is not dead'
    grep -qE '^attempts[[:space:]]+3$' <<<"$output" || fail 'it was not tried three times'
    kept 'three attempts, then dead'
    say 'And this one can never work, so it is not tried again: the page is there already.'
    run 'awaitctl submit --wait --retry 2 local "INSERT INTO visits VALUES (?)" /index.html'
    [[ $status == 1 && $output == *UNIQUE* ]] ||
        fail "expected exit code 1 and the constraint's name, got $status and '$output'"
    kept 'refused at once, with the reason'
}

survives_kill() {
    title '4. A job survives kill -9 of the daemon'
    say 'A slow write is running and somebody awaits it, when the daemon is killed.'
    run 'id=$(awaitctl submit local \
        "INSERT INTO visits SELECT ? WHERE sleep(3000) IS NOT NULL" /slow.html)'
    [[ $status == 0 ]] || fail 'the write was not accepted'
    awaitctl await "$id" >"$folder/awaited" 2>"$folder/awaited.errors" &
    local waiter=$! tries
    printf '  %s$ awaitctl await $id &%s\n' "$dim" "$plain"
    for ((tries = 0; tries < 600; tries++)); do
        [[ $(awaitctl jobs --state running) == *"$id"* ]] && break
        sleep 0.1
    done
    run 'awaitctl jobs | cut -f 1,2,4 | grep running'
    [[ $output == *"$id"* ]] || fail 'the job was not running yet'
    printf '  %s$ kill -9 %s      # the daemon%s\n' "$dim" "$daemon" "$plain"
    stop_daemon KILL
    # the kernel closes the sockets of a killed process a moment later
    for ((tries = 0; tries < 600; tries++)); do
        awaitctl ping >/dev/null 2>&1 || break
        sleep 0.1
    done
    run 'awaitctl ping'
    [[ $status == 3 ]] || fail "expected exit code 3 from a daemon that is gone, got $status"
    printf '  %s$ awaitd --config awaitd.conf &      # and started again%s\n' "$dim" "$plain"
    start_daemon
    wait "$waiter" || fail "the one who waited got: $(cat "$folder/awaited.errors")"
    say '  the await of before says:'
    sed 's/^/    /' "$folder/awaited"
    run 'awaitctl --table run local "SELECT * FROM visits"'
    [[ $(grep -c 'slow.html' <<<"$output") == 1 ]] || fail 'the write is lost'
    kept 'the job was done after the restart, and the one who waited never noticed'
}

postgres() {
    title 'PostgreSQL'
    if [[ -z $postgres_uri ]]; then
        say "None answers here. To see it too: $postgres_hint"
        return
    fi
    run 'awaitctl run --timeout 5s main "SELECT version()"'
    if [[ $status != 0 ]]; then
        say "It did not let us in as this user. To see it: $postgres_hint"
        return
    fi
    local begin elapsed
    begin=$(now_ms)
    run 'awaitctl gather \
        $(for i in 1 2 3; do awaitctl submit main "SELECT pg_sleep(1)"; done)'
    elapsed=$(($(now_ms) - begin))
    [[ $status == 0 ]] || fail "gather ended with exit code $status"
    took 'three pg_sleep(1)' "$elapsed"
}

redis() {
    title 'Redis'
    if [[ -z $redis_uri ]]; then
        say 'None answers here. To see it too: REDIS_URL=redis://host:6379/0 make try'
        return
    fi
    run 'awaitctl submit --wait=5s cache SET awaitd:try hello EX 60'
    if [[ $status != 0 ]]; then
        say 'It does not let us write. To see it: REDIS_URL=redis://host:6379/0 make try'
        return
    fi
    run 'awaitctl run cache GET awaitd:try'
    [[ $output == hello ]] || fail "Redis gave '$output' back, not hello"
    kept 'stored through the queue, read back at once'
}

set_the_stage
say "awaitd: hand it the slow thing; await the answer." \
    "A daemon of our own runs in $folder, with a SQLite file as its target 'local'."
three_at_once
durable_write
failing_jobs
survives_kill
postgres
redis
title 'That was it.'
say 'Where to go from here: awaitctl --help, README.md, docs/PROTOCOL.md'
