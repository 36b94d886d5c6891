"""test_connections.py - thousands of idle clients, some that do not read, some that vanish."""

import resource
import threading
import time

import pytest

from harness import daemon as daemon_module
from harness import process, steps, wire

IDLE = 5000


@pytest.fixture
def many_descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < IDLE + 500:
        if not process.is_root():
            pytest.skip(f"this user may open only {hard} descriptors")
        hard = IDLE * 2
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20000), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


ANSWERS = 4


def instructions(local, client):
    """What some answers cost the loop: the least of three rounds, as a timer may fall into one.
    Not under sanitizers, whose own instructions are many and vary."""
    if daemon_module.sanitized():
        return None
    for _ in range(100):
        client.call("PING")
    return min(steps.of_answers(local.pid, client, ANSWERS, "PING") for _ in range(3))


def test_5000_idle_clients_cost_the_busy_one_nothing(many_descriptors, make_daemon):
    local = make_daemon().start()
    with local.connect() as busy:
        alone = instructions(local, busy)
        resident = local.resident_bytes()
        idle = [local.connect() for _ in range(IDLE)]
        try:
            for client in idle[::50]:
                assert client.call("PING") == "PONG"
            growth = local.resident_bytes() - resident
            crowded = instructions(local, busy)
            if not daemon_module.sanitized():
                assert alone > ANSWERS, "the counter is blind"
                # A look at each idle client, once an answer, would be more than this.
                assert crowded < alone + ANSWERS * IDLE, f"instructions: {alone}, {crowded}"
                assert growth < IDLE * 16384, f"{growth / IDLE:.0f} bytes an idle client"
            assert idle[-1].call("PING") == "PONG"
        finally:
            for client in idle:
                client.close()
        process.wait_until(lambda: local.descriptors() < 200, 60,
                           "the descriptors to be closed")
        assert busy.call("PING") == "PONG"


def test_client_that_does_not_read_is_held_back(local):
    """100 MB of answers are asked for and not read: the daemon's memory stays, others are served,
    and what was asked is all there, in order, once it is read."""
    count, size = 10000, 10000
    slow = local.connect(timeout_s=120, receive_buffer=4096)
    before = local.resident_bytes()
    requests = b"".join(wire.encode("ECHO", str(number).zfill(size)) for number in range(count))
    sender = threading.Thread(target=slow.send_raw, args=(requests,), daemon=True)
    sender.start()
    with local.connect() as other:
        for _ in range(100):
            assert other.call("PING") == "PONG"
            time.sleep(0.01)
        assert other.call("RUN", "local", "SELECT 1 AS one") == [[b"one"], [b"1"]]
    growth = local.resident_bytes() - before
    if not daemon_module.sanitized():
        assert growth < 32 << 20, f"{growth >> 20} MiB for one slow reader"
    for number in range(count):
        assert slow.read() == str(number).zfill(size).encode()
    sender.join(60)
    slow.close()


def test_client_that_never_reads_and_vanishes(local):
    before = local.descriptors_at_work()
    for _ in range(10):
        slow = local.connect(timeout_s=0.5)
        try:
            slow.send_raw(wire.encode("ECHO", "x" * 60000) * 200)
        except (TimeoutError, OSError):
            pass  # held back, as it should be
        slow.close()
    process.wait_until(lambda: local.descriptors() <= before + 2, 30,
                       "the descriptors to be closed")
    assert local.answers()


def test_connections_come_and_go(local):
    before = local.descriptors_at_work()
    for _ in range(3000):
        local.connect().close()
    process.wait_until(lambda: local.descriptors() <= before + 2, 30,
                       "the descriptors to be closed")
    assert local.answers()


def test_running_out_of_descriptors_is_survived(make_daemon):
    """With 100 descriptors some of 200 clients have to wait; once others leave, they are served."""
    def limits():
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))

    local = make_daemon().start(limits=limits)
    clients = [local.connect(timeout_s=60) for _ in range(200)]
    for client in clients[:20]:
        assert client.call("PING") == "PONG"
    for client in clients[:150]:
        client.close()
    for client in clients[150:]:
        try:
            assert client.call("PING") == "PONG"
        except (wire.Closed, ConnectionResetError):
            pass  # turned away, which is an answer too
        client.close()
    assert local.answers()
    local.stop()
