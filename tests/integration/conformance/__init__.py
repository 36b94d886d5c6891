"""__init__.py - the cases of the conformance suite; table.py says what they are, and the files
test_conformance_*.py run them."""

from conformance import connection, cron, events, jobs, lease, queues, run, submit, waiting, worker

__all__ = ["connection", "cron", "events", "jobs", "lease", "queues", "run", "submit",
           "waiting", "worker"]
