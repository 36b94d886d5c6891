"""peers.py - the programs the daemon is measured against, each in a folder of its own, on a free
port, ended by pid. A peer that does not start is an error, never a missing row.
"""

import os
import pwd
import shutil
import socket
import subprocess
import sys
import time

import redis

from harness import process
from harness.postgres import Postgres
from harness.redis_server import RedisServer

INSERT = "INSERT INTO effect (v) VALUES ($1)"
ROW = "x" * 100


def durable_postgres():
    """A server as an administrator would run it: nothing is faster for being a benchmark's."""
    server = Postgres()
    with open(server.data / "postgresql.conf", "a", encoding="utf-8") as settings:
        settings.write("fsync = on\nsynchronous_commit = on\nshared_buffers = 128MB\n"
                       "max_connections = 200\nmax_wal_size = 4GB\n")
    server.stop()
    server.start()
    server.query("CREATE TABLE effect (v text)")
    return server


def accepts(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Peer:
    """One process and its folder."""

    def __init__(self, label):
        self.folder = process.temporary_folder(label)
        self.server = None

    @property
    def pid(self):
        return self.server.pid

    def started(self, ready, what):
        def check():
            if not self.server.running:
                raise RuntimeError(f"{what} does not start:\n{self.server.output()[-2000:]}")
            return ready()

        try:
            process.wait_until(check, 60, f"{what} to be ready")
        except BaseException:
            self.close()
            raise

    def close(self):
        if self.server is not None:
            self.server.end()
        shutil.rmtree(self.folder, ignore_errors=True)


class Beanstalkd(Peer):
    name = "beanstalkd"

    def __init__(self, folder):
        super().__init__("beanstalkd")
        self.where = process.free_port()
        self.server = process.Process(
            [process.need("beanstalkd"), "-l", "127.0.0.1", "-p", self.where, "-b", folder, "-f0"],
            self.folder / "log")
        self.started(lambda: accepts(self.where), "beanstalkd")


class PgBouncer(Peer):
    """Pools transactions of one PostgreSQL, over Unix sockets on both sides."""

    def __init__(self, server, connections):
        super().__init__("pgbouncer")
        self.port = process.free_port()
        (self.folder / "pgbouncer.ini").write_text(
            f"[databases]\npostgres = host={server.folder} port={server.port} user=postgres\n"
            f"[pgbouncer]\nlisten_addr =\nlisten_port = {self.port}\n"
            f"unix_socket_dir = {self.folder}\nauth_type = any\npool_mode = transaction\n"
            f"default_pool_size = {connections}\nmax_client_conn = 1000\n"
            "log_connections = 0\nlog_disconnections = 0\nlog_stats = 0\n", encoding="utf-8")
        if process.is_root():
            account = pwd.getpwnam("postgres")
            shutil.chown(self.folder, account.pw_uid, account.pw_gid)
        self.server = process.Process(
            [*server.as_user, process.need("pgbouncer"), self.folder / "pgbouncer.ini"],
            self.folder / "log")
        self.uri = f"host={self.folder} port={self.port} user=postgres dbname=postgres"
        self.started(lambda: (self.folder / f".s.PGSQL.{self.port}").exists(), "pgbouncer")


RSYSLOG = """
global(workDirectory="{folder}")
module(load="imptcp")
module(load="ompgsql")
template(name="row" type="string" option.stdsql="on"
         string="INSERT INTO effect (v) VALUES ('%msg%')")
ruleset(name="store" queue.type="Disk" queue.filename="jobs" queue.syncQueueFiles="on"
        queue.checkpointInterval="1" queue.saveOnShutdown="on" queue.dequeueBatchSize="1024") {{
    action(type="ompgsql" server="{host}" port="{port}" user="postgres" pass="" db="postgres"
           template="row" queue.type="Direct" action.resumeRetryCount="-1")
}}
input(type="imptcp" path="{folder}/socket" ruleset="store")
"""


class Rsyslog(Peer):
    """Messages from a socket through a queue on the disk into PostgreSQL, up to 1,024 rows a
    transaction. Every message is synced to the queue's file, and so is what was taken from it; the
    sender is never told."""

    def __init__(self, server):
        super().__init__("rsyslog")
        self.socket = self.folder / "socket"
        (self.folder / "conf").write_text(
            RSYSLOG.format(folder=self.folder, host=server.folder, port=server.port),
            encoding="utf-8")
        self.server = process.Process(
            [process.need("rsyslogd"), "-n", "-f", self.folder / "conf", "-i", self.folder / "pid"],
            self.folder / "log")
        self.started(self.socket.exists, "rsyslogd")

    def send(self, jobs):
        line = f"<13>Nov 20 00:00:00 host bench: {ROW}\n".encode()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.connect(str(self.socket))
            for begin in range(0, jobs, 100):
                client.sendall(line * min(100, jobs - begin))


# What the workers import: one INSERT in a transaction of its own, on a connection each process
# keeps; with no URI, nothing at all.
PYTHON_JOBS = """
import os
connection = None
def job(row):
    global connection
    if not os.environ.get('PG_URI'):
        return
    if connection is None:
        import psycopg2
        connection = psycopg2.connect(os.environ['PG_URI'])
        connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute('INSERT INTO effect (v) VALUES (%s)', (row,))
try:
    import celery
    app = celery.Celery('jobs', broker=os.environ['BROKER'])
    app.conf.update(task_ignore_result=True, task_acks_late=True, worker_prefetch_multiplier=64)
    celery_job = app.task(name='job')(job)
except ImportError:
    pass
"""

SUBMIT = {
    "celery": "import jobs\nfor _ in range({count}): jobs.celery_job.delay('{row}')",
    "rq": "import jobs, os, redis, rq\n"
          "q = rq.Queue(connection=redis.from_url(os.environ['BROKER']))\n"
          "for _ in range({count}): q.enqueue(jobs.job, '{row}', result_ttl=0)",
}


class PythonQueue:
    """Celery (one prefork worker a processor) or RQ (as many of its workers that do not fork for
    each job), on a Redis that syncs before it answers."""

    def __init__(self, kind, pg_uri=""):
        self.kind = kind
        self.broker = RedisServer("--appendonly", "yes", "--appendfsync", "always")
        self.folder = self.broker.folder
        (self.folder / "jobs.py").write_text(PYTHON_JOBS, encoding="utf-8")
        self.environment = {**os.environ, "BROKER": self.broker.uri, "PYTHONPATH": str(self.folder),
                            "HOME": str(self.folder), "PG_URI": pg_uri, "C_FORCE_ROOT": "1"}
        self.workers = []

    def submit(self, count):
        subprocess.run([sys.executable, "-c", SUBMIT[self.kind].format(count=count, row=ROW)],
                       env=self.environment, cwd=self.folder, timeout=600, check=True)

    def start_workers(self):
        command = {"celery": [sys.executable, "-m", "celery", "-A", "jobs", "worker", "-c",
                              os.cpu_count(), "--without-gossip", "--without-mingle",
                              "--without-heartbeat", "-l", "ERROR"],
                   "rq": [process.need("rq"), "worker", "-w", "rq.worker.SimpleWorker", "--url",
                          self.broker.uri]}[self.kind]
        for number in range(1 if self.kind == "celery" else os.cpu_count()):
            self.workers.append(process.Process(command, self.folder / f"log{number}",
                                                environment=self.environment))
        time.sleep(0.2)
        self.check()

    def check(self):
        for worker in self.workers:
            if not worker.running:
                raise RuntimeError(f"{self.kind} does not start:\n{worker.output()[-2000:]}")

    def waiting(self):
        queue = {"celery": "celery", "rq": "rq:queue:default"}[self.kind]
        return redis.Redis(port=self.broker.port).llen(queue)

    def at_work(self):
        """Taken and not acknowledged."""
        if self.kind == "rq":
            return redis.Redis(port=self.broker.port).zcard("rq:wip:default")
        return redis.Redis(port=self.broker.port).hlen("unacked")

    def wait_idle(self):
        def idle():
            self.check()
            return self.waiting() == 0 and self.at_work() == 0

        process.wait_until(idle, 600, f"{self.kind} to have done its jobs")

    def close(self):
        for worker in self.workers:
            worker.end()
        self.broker.close()

