"""test_outages.py - what happens to databases in containers: paused, killed, out of their network,
slow, out of disk. No job is lost, none spends an attempt on it or happens twice, submissions are
answered all the time, and everything goes on without help."""

from harness import process
from harness.shop import FILLER_BYTES

COUNT = 200
SLOW_COUNT = 60


def held(shop, client, jobs):
    """Nothing can have been done; the daemon is as quick as ever with everything else."""
    assert client.call("AWAIT", jobs[-1], "TIMEOUT", "0").word == "TIMEOUT"
    assert client.call("RUN", "local", "SELECT 1 AS one") == [[b"one"], [b"1"]]
    assert shop.finished(client, jobs) == 0


def test_pause_and_unpause(shop):
    with shop.own.connect(timeout_s=200) as client:
        client.call("GATHER", *shop.submit(client, 1))
        with shop.server.paused():
            held(shop, client, shop.submit(client, COUNT))
        shop.settle(client)


def test_kill_and_start(shop):
    with shop.own.connect(timeout_s=200) as client:
        shop.submit(client, COUNT)
        shop.server.stop()
        held(shop, client, shop.submit(client, COUNT))
        shop.server.start()
        shop.settle(client)


def test_kill_while_the_daemon_restarts(shop):
    with shop.own.connect(timeout_s=200) as client:
        client.call("GATHER", *shop.submit(client, 1))
        shop.server.stop()
        shop.submit(client, COUNT)
    shop.own.restart()
    with shop.own.connect(timeout_s=200) as client:
        held(shop, client, shop.submit(client, COUNT))
        shop.server.start()
        shop.settle(client)


def test_network_disconnected_and_connected(shop):
    with shop.own.connect(timeout_s=200) as client:
        shop.submit(client, COUNT)
        with shop.server.disconnected():
            held(shop, client, shop.submit(client, COUNT))
        shop.settle(client)


def test_slow_network(shop):
    """Submitting goes on beside it: all are stored while the engine, which gets one at a time, is
    far from done."""
    with shop.own.connect(timeout_s=200) as client:
        client.call("GATHER", *shop.submit(client, 1))
        with shop.server.slow():
            jobs = shop.submit(client, SLOW_COUNT, "SERIAL", "slow")
            assert shop.finished(client, jobs) < SLOW_COUNT
            assert client.call("RUN", "local", "SELECT 1 AS one") == [[b"one"], [b"1"]]
            client.call("GATHER", *jobs)
        shop.settle(client)


def test_full_disk(shop):
    """Jobs that need room wait for it; what they tried meanwhile was no attempt."""
    with shop.own.connect(timeout_s=200) as client:
        client.call("GATHER", *shop.submit(client, 1))
        with shop.server.full_disk():
            jobs = shop.submit(client, COUNT, filler_bytes=FILLER_BYTES)
            process.wait_until(lambda: shop.refusals(client) > 0, 60, "the disk to be found full")
            assert shop.finished(client, jobs) < COUNT
            shop.submit(client, COUNT)
            assert client.call("RUN", "local", "SELECT 1 AS one") == [[b"one"], [b"1"]]
        shop.settle(client)
