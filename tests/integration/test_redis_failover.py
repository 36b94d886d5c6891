"""test_redis_failover.py - redis targets behind sentinels and in a cluster, while masters die and
slots move: no job is lost, and none is charged an attempt for it."""

import signal
import time

import pytest

from harness import daemon as daemon_module
from harness import process, redis_group, wire

pytestmark = pytest.mark.limit(300)
JOBS = 100


@pytest.fixture
def sentinels():
    group = redis_group.Sentinels()
    yield group
    group.close()


@pytest.fixture(scope="module")
def cluster():
    group = redis_group.Cluster()
    yield group
    group.close()


def submit(client, commands):
    return client.pipeline(("SUBMIT", "cache", *command) for command in commands)


def check_done(client, jobs):
    """All are done, at the first attempt."""
    for begin in range(0, len(jobs), 500):
        some = jobs[begin:begin + 500]
        client.call("GATHER", *some, "TIMEOUT", "120000")
        for fields in map(wire.as_map, client.pipeline(("JOB", job) for job in some)):
            assert (fields["state"], fields["attempts"]) == (b"done", 1), fields


def is_up(client):
    [fields] = map(wire.as_map, client.call("TARGETS"))
    return bool(fields["up"])


class Load:
    """Jobs that go on being submitted until the trouble is over."""

    def __init__(self, client, command):
        self.client = client
        self.command = command
        self.jobs = []

    def go_on(self):
        first = len(self.jobs)
        self.jobs += submit(self.client, map(self.command, range(first, first + JOBS)))
        time.sleep(0.05)

    def until(self, condition, what):
        process.wait_until(lambda: self.go_on() or condition(), 60, what)


def test_a_master_that_hangs_is_left_when_the_sentinels_say_so(make_daemon, sentinels):
    uri = sentinels.uri.replace("mymaster", "othermaster")
    lost = make_daemon(daemon_module.target("cache", "redis", uri=uri)).start()
    with lost.connect() as client:
        answer = client.call("RUN", "TIMEOUT", "20000", "cache", "PING")
        assert answer.word == "UNAVAILABLE" and "knows no master named othermaster" in answer
    lost.stop()
    own = make_daemon(daemon_module.target("cache", "redis", uri=sentinels.uri,
                                           delivery="exactly-once")).start()
    with own.connect(timeout_s=150) as client:
        check_done(client, submit(client, [("INCR", "n")]))
        master, replica = sentinels.master(), sentinels.replica()
        assert master.client().wait(1, 10000) == 1
        master.server.send_signal(signal.SIGSTOP)
        try:
            jobs = submit(client, [("INCR", "n")] * JOBS)
            check_done(client, jobs)
        finally:
            master.server.send_signal(signal.SIGCONT)
        # what the hanging one had been sent it forgets when it follows the new master
        assert int(replica.client().get("n")) == JOBS + 1
    own.stop()


def test_sentinels_name_the_master_after_the_old_one_died(make_daemon, sentinels):
    own = make_daemon(daemon_module.target("cache", "redis", uri=sentinels.uri)).start()
    with own.connect(timeout_s=150) as client:
        master, replica = sentinels.master(), sentinels.replica()
        first = submit(client, (("SET", f"k{number}", number) for number in range(JOBS)))
        check_done(client, first)
        assert master.client().wait(1, 10000) == 1
        assert all(master.client().exists(f"k{number}") for number in range(JOBS))
        load = Load(client, lambda number: ("SET", f"later{number}", number))
        load.go_on()
        master.stop()
        sentinels.sentinels[0].stop()  # the one that has been asked so far
        load.until(lambda: not is_up(client), "the target to be down")
        load.until(lambda: is_up(client), "the target to be up again")
        check_done(client, load.jobs)
        new = replica.client()
        assert new.info("replication")["role"] == "master"
        assert all(new.exists(f"k{number}") for number in range(JOBS))
        last = submit(client, [("SET", "last", "1")])
        check_done(client, last)
        assert new.get("last") == b"1"
    own.stop()


def test_cluster_commands_go_to_the_node_of_their_key(make_daemon, cluster):
    own = make_daemon(daemon_module.target("cache", "redis", uri=cluster.uri)).start()
    with own.connect(timeout_s=150) as client:
        check_done(client, submit(client, (("SET", f"k{number}", number)
                                           for number in range(JOBS))))
        sizes = [one.client().dbsize() for one in cluster.masters()]
        assert sum(sizes) == JOBS and min(sizes) > 0
        assert client.call("RUN", "cache", "MSET", "{u}a", "1", "{u}b", "2") == "OK"
        assert client.call("RUN", "cache", "EVAL", "return redis.call('GET', KEYS[1])", "1",
                           "{u}b") == b"2"
        assert client.call("RUN", "cache", "XADD", "stream", "1-1", "f", "v") == b"1-1"
        assert client.call("RUN", "cache", "XREAD", "BLOCK", "1000", "STREAMS", "stream",
                           "0") == [[b"stream", [[b"1-1", [b"f", b"v"]]]]]
        job = client.call("SUBMIT", "RETRY", "5", "cache", "MGET", "a", "b")
        answer = client.call("AWAIT", job)
        assert "CROSSSLOT" in answer and "in braces" in answer, answer
        assert wire.as_map(client.call("JOB", job))["attempts"] == 1
        assert client.call("RUN", "cache", "PING") == "PONG"
        assert "no leases" in client.call("ENTER", "cache")
    own.stop()
    plain = make_daemon(daemon_module.target("cache", "redis", uri=cluster.servers[0].uri)).start()
    with plain.connect() as client:
        answers = [client.call("RUN", "cache", "GET", f"k{number}") for number in range(10)]
        assert any("redis+cluster://" in str(one) for one in answers), answers
    plain.stop()


# tags that cannot stand in the braces of the receipt's key, too
COUNTERS = [f"n{number}" for number in range(40)] + ["a}b", "{}c", "d{", "{e}f", "}"]


def test_cluster_counters_while_slots_move(make_daemon, cluster):
    own = make_daemon(daemon_module.target("cache", "redis", uri=cluster.uri,
                                           delivery="exactly-once")).start()
    with own.connect(timeout_s=150) as client:
        load = Load(client, lambda number: ("INCR", COUNTERS[number % len(COUNTERS)]))
        load.go_on()
        source, sink = cluster.masters()[:2]
        slots = len(COUNTERS)
        names = [one.client().execute_command("CLUSTER MYID").decode() for one in (source, sink)]
        moving = process.Process(
            [process.need("redis-cli"), "--cluster", "reshard", f"127.0.0.1:{source.port}",
             "--cluster-from", names[0], "--cluster-to", names[1], "--cluster-slots", "800",
             "--cluster-yes"], own.folder / "reshard")
        load.until(lambda: not moving.running, "the slots to have moved")
        assert moving.child.returncode == 0, moving.output()[-2000:]
        check_done(client, load.jobs)
        for index, counter in enumerate(COUNTERS):
            expected = len(range(index, len(load.jobs), slots))
            assert int(cluster.get(counter)) == expected, counter
    own.stop()


def test_cluster_replica_takes_over(make_daemon, cluster):
    own = make_daemon(daemon_module.target("cache", "redis", uri=cluster.uri)).start()
    with own.connect(timeout_s=150) as client:
        check_done(client, submit(client, [("PING",)]))
        process.wait_until(cluster.whole, 60, "the cluster to be whole")
        load = Load(client, lambda number: ("SET", f"over{number}", number))
        load.go_on()
        cluster.masters()[0].stop()
        load.until(lambda: not is_up(client), "the target to be down")
        load.until(lambda: is_up(client), "the target to be up again")
        check_done(client, load.jobs)
        check_done(client, submit(client, (("SET", f"after{number}", number)
                                           for number in range(JOBS))))
        assert all(cluster.get(f"after{number}") is not None for number in range(0, JOBS, 7))
    own.stop()
