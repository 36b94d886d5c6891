"""test_crowd.py - ten thousand clients, a thousand of which wait in RESERVE and AWAIT: what each
costs, and whom a submission wakes."""

import resource
import select

import pytest

from harness import daemon as daemon_module
from harness import process, wire

IDLE = 9000
RESERVING = 500
AWAITING = 500
CROWD = IDLE + RESERVING + AWAITING
# What a connection may cost at most, in resident memory of the daemon; OPERATIONS.md states what it
# does cost.
IDLE_BYTES_MAX = 8 << 10
WAITING_BYTES_MAX = 32 << 10


@pytest.fixture
def crowd(make_daemon):
    """A daemon, and a function that connects so many clients more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = CROWD + 1000
    if hard != resource.RLIM_INFINITY and hard < needed:
        if not process.is_root():
            pytest.skip(f"this user may open only {hard} descriptors")
        hard = needed
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    daemon = make_daemon(targets=daemon_module.target("mail", "worker"),
                         settings=f"clients_max = {CROWD + 100}\nstop_timeout = 200ms").start()
    clients = []

    def connect(count):
        more = [daemon.connect() for _ in range(count)]
        clients.extend(more)
        return more

    yield daemon, connect
    for client in clients:
        client.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def woken(clients):
    """Those that something has come for."""
    poll = select.poll()
    by_descriptor = {client.socket.fileno(): client for client in clients}
    for descriptor in by_descriptor:
        poll.register(descriptor, select.POLLIN)
    return [by_descriptor[descriptor] for descriptor, _ in poll.poll(0)]


def blocked(daemon):
    return int(daemon.info()["blocked_clients"]) - 1  # the one that asks counts itself


def bytes_each(daemon, before, count):
    return (daemon.resident_bytes() - before) / count


def test_one_submission_wakes_one_of_ten_thousand(crowd):
    daemon, connect = crowd
    with daemon.connect() as client, daemon.connect() as worker:
        awaited = client.call("SUBMIT", "DELAY", "3600000", "mail", "awaited")
        others = [client.call("SUBMIT", "DELAY", "3600000", "mail", "x") for _ in range(4)]
        before = daemon.resident_bytes()
        idle = connect(IDLE)
        for one in idle[::100]:
            assert one.call("PING") == "PONG"
        idle_bytes = bytes_each(daemon, before, IDLE)

        before = daemon.resident_bytes()
        reserving, awaiting = connect(RESERVING), connect(AWAITING)
        for number, one in enumerate(reserving):
            one.send("RESERVE", "mail")
            if number < 5:  # so that who waits longest is known
                process.wait_until(lambda: blocked(daemon) == number + 1, 60, "it to wait")
        for number, one in enumerate(awaiting):
            one.send("AWAIT", others[number % 4] if number else awaited)
        process.wait_until(lambda: blocked(daemon) == RESERVING + AWAITING, 60, "all to wait")
        waiting_bytes = bytes_each(daemon, before, RESERVING + AWAITING)
        print(f"bytes a client: idle {idle_bytes:.0f}, waiting {waiting_bytes:.0f}")
        if not daemon_module.sanitized():
            assert idle_bytes < IDLE_BYTES_MAX, f"{idle_bytes:.0f} bytes an idle client"
            assert waiting_bytes < WAITING_BYTES_MAX, f"{waiting_bytes:.0f} bytes a waiting client"

        everybody = idle + reserving + awaiting
        assert woken(everybody) == []
        for turn in range(5):
            job = client.call("SUBMIT", "mail", str(turn))
            [[leased, *_, argument]] = reserving[turn].read()
            assert (leased, argument) == (job, str(turn).encode())
            # Whoever else was woken by it would have been answered before this.
            assert blocked(daemon) == RESERVING + AWAITING - turn - 1
            assert woken(everybody) == []

        assert client.call("PROMOTE", awaited) == 1
        [[leased, token, *_]] = reserving_of(reserving[5:])
        assert leased == awaited
        assert worker.call("ACK", awaited, token, "only you") == "OK"
        assert awaiting[0].read() == b"only you"
        assert blocked(daemon) == RESERVING + AWAITING - 7
        assert woken(everybody) == []

        for one in idle[::100]:
            assert one.call("PING") == "PONG"


def reserving_of(clients):
    """What the one of them gets that is woken next."""
    [client] = process.wait_until(lambda: woken(clients), 60, "one to be woken")
    return client.read()
