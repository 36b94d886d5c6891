#!/bin/sh
# engine.sh - a Docker engine of its own for the length of one command.
#
# engine.sh FOLDER COMMAND ...: Debian's dockerd, with socket, data and pid file in FOLDER, in
# network, mount and process namespaces of its own, where COMMAND runs too (DOCKER_HOST names the
# engine). Bridges, rules, mounts, containers: all ends with the namespaces, whatever happens; only
# the control groups are outside, and are removed here. Needs root.
set -eu

if [ "${ENGINE_INSIDE:-}" != yes ]; then
    folder=$1
    ENGINE_INSIDE=yes unshare --net --mount --pid --fork --kill-child --mount-proc -- "$0" "$@" &
    inside=$!
    trap 'kill -KILL $inside 2>/dev/null' INT TERM
    code=0
    wait $inside || code=$?
    wait $inside 2>/dev/null || true # after a signal it is only dying
    find /sys/fs/cgroup -depth -type d -path "*/$(basename "$folder")*" -exec rmdir {} + || true
    exit "$code"
fi

folder=$1
shift
export DOCKER_HOST="unix://$folder/docker.sock"
ip link set lo up
mount -t tmpfs -o mode=755 tmpfs /run # sockets of containerd, the lock of iptables
dockerd --host "$DOCKER_HOST" --data-root "$folder/data" --exec-root /run/docker \
    --pidfile "$folder/docker.pid" --exec-opt native.cgroupdriver=cgroupfs \
    --cgroup-parent "/$(basename "$folder")" > "$folder/dockerd.log" 2>&1 &
dockerd=$!
turns=0
until docker info > /dev/null 2>&1; do
    turns=$((turns + 1))
    if ! kill -0 $dockerd 2>/dev/null || [ $turns -gt 300 ]; then
        tail -n 20 "$folder/dockerd.log" >&2
        echo 'engine: dockerd does not start: above is the end of what it said' >&2
        exit 1
    fi
    sleep 0.2
done
code=0
"$@" || code=$?
kill $dockerd
wait $dockerd || true
exit "$code"
