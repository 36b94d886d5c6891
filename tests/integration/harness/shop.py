"""shop.py - jobs whose effects can be counted, on one engine, over whatever happens to it."""

from harness import exposition, wire

FILLER_BYTES = 16384


class Shop:
    """A daemon with one target, exactly-once: each job leaves one effect, which is counted beside
    the daemon."""

    def __init__(self, server, own):
        self.server = server
        self.own = own
        self.jobs = []

    def command(self, number, filler_bytes):
        raise NotImplementedError

    def effects(self):
        """How often each job's effect is there, by its number."""
        raise NotImplementedError

    def submit(self, client, count, *options, filler_bytes=0):
        """One SUBMIT after the other, each with its answer; the ids. With `filler_bytes` each job
        takes that much of the engine's disk."""
        first = len(self.jobs)
        for number in range(first, first + count):
            job = client.call("SUBMIT", *options, "engine", *self.command(number, filler_bytes))
            assert not isinstance(job, wire.Error), job
            self.jobs.append(job)
        return self.jobs[first:]

    def finished(self, client, jobs):
        """How many have ended."""
        states = [wire.as_map(one)["state"]
                  for one in client.pipeline(("JOB", job) for job in jobs)]
        return len(jobs) - sum(state in (b"ready", b"running", b"scheduled") for state in states)

    def refusals(self, client):
        """How many executions ended because the engine was not to be had."""
        return exposition.value(exposition.parse(client.call("METRICS")),
                                "awaitd_target_executions_total", target="engine",
                                outcome="unavailable")

    def settle(self, client):
        """Every job ends well by the first attempt that counts, and its effect is there once."""
        bad = [one for one in client.call("GATHER", *self.jobs) if isinstance(one, wire.Error)]
        assert not bad, bad[:3]
        attempts = {int(wire.as_map(one)["attempts"])
                    for one in client.pipeline(("JOB", job) for job in self.jobs)}
        assert attempts == {1}
        assert self.effects() == {number: 1 for number in range(len(self.jobs))}


class PostgresShop(Shop):
    def __init__(self, server, own):
        super().__init__(server, own)
        server.query("DROP TABLE IF EXISTS effect")
        server.query("CREATE TABLE effect (number int, filler text)")

    def command(self, number, filler_bytes):
        return ("INSERT INTO effect SELECT $1::int, string_agg(md5(random()::text), '') "
                "FROM generate_series(1, $2::int / 32)", str(number), str(filler_bytes))

    def effects(self):
        return dict(self.server.query("SELECT number, count(*) FROM effect GROUP BY number"))


class RedisShop(Shop):
    def __init__(self, server, own):
        super().__init__(server, own)
        server.client().flushall()

    def command(self, number, filler_bytes):
        return ("RPUSH", f"effect:{number}", "x" * filler_bytes)

    def effects(self):
        client = self.server.client()
        return {int(key.split(b":")[1]): client.llen(key)
                for key in client.scan_iter("effect:*", count=1000)}
