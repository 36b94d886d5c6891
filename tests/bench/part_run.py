"""part_run.py - RUN main "SELECT 1" through the daemon, against pgbouncer between the same program
and the same PostgreSQL.

Added latency is what a query takes through the one in between, less what it takes through libpq on
PostgreSQL's own socket, all in turn in one run (query.c). Both have 16 connections to the server;
pgbouncer pools transactions, as it is mostly run.
"""

import pathlib
import shutil
import tempfile

from harness import daemon as daemon_module
from harness.daemon import Daemon

from measure import Row, cpu_seconds, run_program, system_calls
from peers import PgBouncer, durable_postgres

CONNECTIONS = 16
# clients, queries of each
LATENCY = [(1, 20000), (16, 2500)]
CROWD = (64, 1000)


class Stage:
    """PostgreSQL, the daemon and pgbouncer on it."""

    def __init__(self, base):
        self.folder = pathlib.Path(tempfile.mkdtemp(dir=base))
        self.server = durable_postgres()
        self.daemon = self.bouncer = None
        try:
            self.daemon = Daemon(daemon_module.target("main", "postgres", connections=CONNECTIONS,
                                                      uri=self.server.socket_uri),
                                 state=self.folder)
            self.daemon.start()
            self.bouncer = PgBouncer(self.server, CONNECTIONS)
        except BaseException:
            self.close()
            raise

    def close(self):
        for part in (self.bouncer, self.daemon, self.server):
            if part is not None:
                part.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def direct(self, clients, queries):
        return run_program("query", "pg", self.server.socket_uri, clients, queries)

    def bounced(self, clients, queries):
        used = cpu_seconds(self.bouncer.pid)
        found = run_program("query", "pg", self.bouncer.uri, clients, queries)
        return found + [(cpu_seconds(self.bouncer.pid) - used) * 1e6 / (clients * queries * 1.1)]

    def ours(self, clients, queries):
        used = cpu_seconds(self.daemon.pid)
        found = run_program("query", "awaitd", self.daemon.socket, clients, queries)
        return found + [(cpu_seconds(self.daemon.pid) - used) * 1e6 / (clients * queries * 1.1)]

    def calls(self, clients, queries):
        """System calls a query, of the daemon and of pgbouncer."""
        made = [system_calls(self.daemon.pid, lambda: self.ours(clients, queries)),
                system_calls(self.bouncer.pid, lambda: self.bounced(clients, queries))]
        return [number / (clients * queries * 1.1) if number else None for number in made]


def rows(settings):
    stage = Stage(settings.base)
    try:
        for clients, number in LATENCY:
            queries = settings.count(number, 10)
            direct, ours, peer = settings.in_turn(lambda: stage.direct(clients, queries),
                                                  lambda: stage.ours(clients, queries),
                                                  lambda: stage.bounced(clients, queries))
            calls, peer_calls = stage.calls(clients, max(10, queries // 4))
            for index, name in ((1, "median"), (2, "p99")):
                yield Row(f"RUN SELECT 1, {clients} clients, added {name}", "us",
                          ours[index] - direct[index], "pgbouncer", peer[index] - direct[index],
                          aim=1.0, less=True, cpu_us=ours[3], calls=calls,
                          note=f"direct {direct[index]:.0f}, awaitd {ours[index]:.0f}, pgbouncer "
                               f"{peer[index]:.0f} us; pgbouncer {peer[3]:.1f} us CPU, "
                               f"{peer_calls or 0:.2f} calls")
        clients, number = CROWD
        queries = settings.count(number, 10)
        direct, ours, peer = settings.in_turn(lambda: stage.direct(clients, queries),
                                              lambda: stage.ours(clients, queries),
                                              lambda: stage.bounced(clients, queries))
        calls, peer_calls = stage.calls(clients, max(10, queries // 4))
        yield Row(f"RUN SELECT 1, {clients} clients", "queries/s", ours[0], "pgbouncer", peer[0],
                  aim=1.0, cpu_us=ours[3], calls=calls,
                  note=f"direct {direct[0]:.0f}/s; p50/p99 us {ours[1]:.0f}/{ours[2]:.0f} (peer "
                       f"{peer[1]:.0f}/{peer[2]:.0f}); pgbouncer {peer[3]:.1f} us CPU, "
                       f"{peer_calls or 0:.2f} calls")
    finally:
        stage.close()
