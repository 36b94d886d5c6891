"""bench.py - `make bench`: the daemon against its peers, a line a case.

    make bench                                all parts but `backlog`
    make bench BENCH='inserts run'            some of them
    make bench BENCH='queue --rounds 1 --scale 0.2 --markdown'

What is measured is in the part_*.py beside this file; all servers are started on free ports in
folders of their own, and stopped by pid. docs/BENCHMARKS.md has the results.
"""

import sys

import measure
import part_backlog
import part_execution
import part_inserts
import part_queue
import part_redis
import part_run
import part_submit

PARTS = {
    "submit": part_submit.rows,
    "queue": part_queue.rows,
    "execution": part_execution.rows,
    "inserts": part_inserts.rows,
    "redis": part_redis.rows,
    "run": part_run.rows,
}
EXTRA_PARTS = {"backlog": part_backlog.rows}

FACTS = [
    measure.versions([["redis-server", "--version"], ["postgres", "--version"],
                      ["psql", "--version"], ["pgbouncer", "--version"], ["rsyslogd", "-v"]]),
    "CPU and calls are the daemon's, all its threads included; loads and servers share the "
    "processors with it",
]

if __name__ == "__main__":
    sys.exit(measure.main("make bench", PARTS, EXTRA_PARTS, facts=FACTS))
