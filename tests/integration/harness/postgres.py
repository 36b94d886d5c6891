"""postgres.py - a PostgreSQL server of the test's own: folder, socket, port, pid."""

import pathlib
import pwd
import shutil
import signal
import subprocess

import psycopg2

from harness import process

SETTINGS = """
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = '{folder}'
max_connections = 60
shared_buffers = 32MB
fsync = off
max_prepared_transactions = 0
log_min_messages = warning
"""


def binaries():
    """The folder of initdb and postgres: the distribution's newest, or the PATH's."""
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"),
                   key=lambda path: int(path.parts[4]) if path.parts[4].isdigit() else 0)
    if found:
        return found[-1].parent
    return pathlib.Path(process.need("initdb")).parent


class Access:
    """How to reach a server, wherever it runs; without a password it trusts whoever comes."""

    def __init__(self, port, password=""):
        self.port = port
        self.password = password
        self.uri = self.uri_at(port)

    def uri_at(self, port, user="postgres", database="postgres"):
        """The server's URI by another port, such as a proxy's, or as another user. Never TLS of
        itself: proxies look into what passes."""
        password = f":{self.password}" if self.password else ""
        return f"postgresql://{user}{password}@127.0.0.1:{port}/{database}?sslmode=disable"

    def query(self, sql, *parameters):
        """Runs one statement in its own transaction; rows, or None for a statement without."""
        connection = psycopg2.connect(self.uri)
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql, parameters or None)
                return cursor.fetchall() if cursor.description else None
        finally:
            connection.close()

    def value(self, sql, *parameters):
        return self.query(sql, *parameters)[0][0]


class Postgres(Access):
    def __init__(self):
        super().__init__(process.free_port())
        self.folder = process.temporary_folder("postgres")
        self.data = self.folder / "data"
        self.server = None
        self.as_user = []
        user = "postgres"
        if process.is_root():
            account = pwd.getpwnam(user)
            shutil.chown(self.folder, account.pw_uid, account.pw_gid)
            self.as_user = ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}",
                            "--clear-groups", "--pdeathsig=KILL", "--"]
        subprocess.run([*self.as_user, str(binaries() / "initdb"), "--no-sync", "-A", "trust",
                        "-U", user, "-E", "UTF8", "--locale=C", "-D", str(self.data)],
                       check=True, stdout=subprocess.DEVNULL, cwd=self.folder, timeout=120)
        with open(self.data / "postgresql.conf", "a", encoding="utf-8") as settings:
            settings.write(SETTINGS.format(port=self.port, folder=self.folder))
        self.socket_uri = f"postgresql://postgres@/postgres?host={self.folder}&port={self.port}"
        self.start()

    def start(self):
        self.server = process.Process([*self.as_user, binaries() / "postgres", "-D", self.data],
                                      self.folder / "log")
        process.wait_until(self.answers, 120, f"PostgreSQL to answer\n{self.server.output()}")

    def answers(self):
        assert self.server.running, self.server.output()
        try:
            psycopg2.connect(self.uri, connect_timeout=30).close()
            return True
        except psycopg2.OperationalError:
            return False

    @property
    def running(self):
        return self.server.running

    def stop(self):
        """Ends it as a crash of the host would see it: every connection breaks at once."""
        self.server.send_signal(signal.SIGQUIT)
        self.server.wait(60)

    def close(self):
        if self.server is not None:
            self.server.end(signal.SIGINT)
        shutil.rmtree(self.folder, ignore_errors=True)
