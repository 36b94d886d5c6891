#!/bin/sh
# entrypoint.sh - of the stand-in images: as much of what the stock images do as compose.yml asks
# for. A first start makes the database; the server never runs as root.
set -eu

drop()
{
    account=$1
    shift
    exec setpriv --reuid="$account" --regid="$account" --init-groups -- "$@"
}

PATH=$PATH:$(echo /usr/lib/postgresql/*/bin)
case ${1:-} in
postgres)
    data=/var/lib/postgresql/data
    mkdir -p $data
    chown postgres $data
    chmod 700 $data
    if [ ! -s $data/PG_VERSION ]; then
        (umask 077 && printf '%s' "$POSTGRES_PASSWORD" > /tmp/password)
        chown postgres /tmp/password
        (drop postgres initdb -D $data -U postgres --pwfile=/tmp/password --auth-local=trust \
            --auth-host=scram-sha-256 -E UTF8 --locale=C.UTF-8)
        rm /tmp/password
        echo 'host all all all scram-sha-256' >> $data/pg_hba.conf
    fi
    mkdir -p /var/run/postgresql
    chown postgres /var/run/postgresql
    export PGDATA=$data
    drop postgres "$@"
    ;;
redis-server | valkey-server)
    account=${1%-server}
    chown "$account" /data
    cd /data
    drop "$account" "$@"
    ;;
*) exec "$@" ;;
esac
