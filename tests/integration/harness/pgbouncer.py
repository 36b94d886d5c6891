"""pgbouncer.py - a pgbouncer in transaction mode in front of a PostgreSQL of the tests."""

import shutil
import signal

from harness import process

SETTINGS = """
[databases]
* = host=127.0.0.1 port={server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 4
max_client_conn = 100
ignore_startup_parameters = extra_float_digits,options
"""


class Pgbouncer:
    def __init__(self, postgres):
        self.folder = process.temporary_folder("pgbouncer")
        self.port = process.free_port()
        self.uri = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        settings = self.folder / "pgbouncer.ini"
        # auth_type any wants the user in the database's line
        user = "user=postgres" + (f" password={postgres.password}" if postgres.password else "")
        text = SETTINGS.format(server=postgres.port, port=self.port)
        settings.write_text(text.replace("* = ", f"postgres = {user} "), encoding="utf-8")
        words = [process.need("pgbouncer"), settings]
        if process.is_root():  # as root it refuses to run
            words = ["setpriv", "--reuid=nobody", "--clear-groups", "--pdeathsig=KILL", "--",
                     *words]
        self.server = process.Process(words, self.folder / "log")
        process.wait_until(lambda: "process up" in self.server.output(), 60, "pgbouncer to listen")

    def close(self):
        self.server.end(signal.SIGINT)
        shutil.rmtree(self.folder, ignore_errors=True)
