"""daemon.py - the real daemon with a configuration, a state folder and a socket of its own."""

import contextlib
import os
import pathlib
import re
import shutil
import signal
import sqlite3

import redis

from harness import process, wire

TREE = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get("BUILD", "build"))
if not BUILD.is_absolute():
    BUILD = TREE / BUILD
AWAITD = BUILD / "awaitd"
AWAITCTL = BUILD / "awaitctl"

SANITIZER_REPORT = re.compile(
    r"(ERROR: (Address|Leak|Thread)Sanitizer|runtime error:|WARNING: ThreadSanitizer).*")


def sanitized():
    """Whether the binaries under test carry AddressSanitizer (slower, and bigger in memory)."""
    return AWAITD.exists() and b"__asan_init" in AWAITD.read_bytes()


START_S = 120 if sanitized() else 60
STOP_S = 120 if sanitized() else 60


class Daemon:
    """One state folder with, over time, several daemons on it: start, stop, kill, start again."""

    def __init__(self, targets="", extra="", state=None, settings=""):
        self.folder = process.temporary_folder("daemon")
        self.state = pathlib.Path(state) if state else self.folder / "state"
        self.socket = self.folder / "awaitd.sock"
        self.configuration = self.folder / "awaitd.conf"
        self.log = self.folder / "log"
        self.process = None
        self.state.mkdir(exist_ok=True)
        self.configure(f"[daemon]\nstate = {self.state}\n{settings}\n"
                       f"[socket main]\npath = {self.socket}\nmode = 0660\nallow = all\n"
                       f"{targets}\n{extra}\n")

    def configure(self, text):
        self.configuration.write_text(text, encoding="utf-8")

    def launch(self, *options, environment=None, limits=None):
        """Starts the program without waiting for it to be ready."""
        assert AWAITD.exists(), f"{AWAITD} is not built: make"
        self.process = process.Process([AWAITD, "--config", self.configuration, *options], self.log,
                                       environment=environment, limits=limits)
        return self.process

    def start(self, **options):
        self.launch(**options)
        process.wait_until(self.answers, START_S, "the daemon to answer PING")
        return self

    def answers(self):
        if not self.process.running:
            raise AssertionError(f"the daemon ended with {self.process.child.returncode}:\n"
                                 f"{self.output()[-4000:]}")
        try:
            with wire.Wire(self.socket, timeout_s=START_S) as client:
                return client.call("PING") == "PONG"
        except (OSError, wire.Closed):
            return False

    def refuses_to_start(self, *options, **launch_options):
        """Starts it expecting a refusal; the exit code and what it said."""
        before = len(self.output())
        code = self.launch(*options, **launch_options).wait(START_S)
        said = self.output()[before:]
        assert code != 0, said
        assert code > 0, f"ended by signal {-code}: {said}"
        self.check_log()
        return code, said

    @property
    def pid(self):
        return self.process.pid

    def connect(self, **options):
        return wire.Wire(self.socket, **options)

    def redis(self, **options):
        return redis.Redis(unix_socket_path=str(self.socket), **options)

    def stop(self):
        """SIGTERM, and the exit must be clean."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(STOP_S)
        self.check_log()
        assert code == 0, f"exit code {code} after SIGTERM:\n{self.output()[-4000:]}"

    def kill(self):
        self.process.kill()

    def restart(self):
        self.stop()
        return self.start()

    def output(self):
        if not self.log.exists():
            return ""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def check_log(self):
        report = SANITIZER_REPORT.search(self.output())
        assert not report, self.output()[max(0, report.start() - 200):report.start() + 6000]

    def resident_bytes(self):
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1)) * 1024

    def threads(self):
        """The names of the process's tasks; the kernel's own io_uring workers are left out."""
        names = []
        for task in pathlib.Path(f"/proc/{self.pid}/task").iterdir():
            try:
                name = (task / "comm").read_text(encoding="utf-8").strip()
            except OSError:
                continue
            if not name.startswith(("iou-wrk", "iou-sqp")):
                names.append(name)
        return names

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def descriptors_at_work(self):
        """How many it has once the files of the target `local` are open too."""
        with self.connect() as client:
            client.call("RUN", "local", "SELECT 1")
            return self.descriptors()

    def change_local(self, sql):
        """In the file of the target `local`, while the daemon is down."""
        connection = sqlite3.connect(self.state / "local.db")
        with contextlib.closing(connection), connection:
            connection.execute(sql)

    def info(self):
        """INFO as one dict."""
        with self.connect() as client:
            lines = wire.text(client.call("INFO")).split("\r\n")
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def close(self):
        """For clean-up: ends whatever runs; a sanitizer's report fails the test here at last."""
        try:
            if self.process is not None:
                self.process.end(timeout_s=STOP_S)
            self.check_log()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)


def target(name, kind, **keys):
    settings = [f"{key} = {value}" for key, value in keys.items()]
    lines = [f"[target {name}]", f"type = {kind}", *settings]
    return "\n".join(lines) + "\n"


LOCAL = target("local", "sqlite", path="local.db")
