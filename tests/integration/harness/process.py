"""process.py - child processes that are always ended, by pid, and whose output is kept."""

import contextlib
import ctypes
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

PR_SET_PDEATHSIG = 1
PORT_CLASSES = 8 # run_integration.sh chooses one of them
LIBC = ctypes.CDLL(None, use_errno=True)
# A limit on waiting only tells a hang from a slow machine: no wait gives up before.
HANG_S = 60


def die_with_parent():
    """Runs in the child: a killed pytest leaves no server behind."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def is_root():
    return os.geteuid() == 0


def need(program):
    found = shutil.which(program)
    if found is None:
        raise RuntimeError(f"{program} is not installed: make deps")
    return found


def temporary_folder(label):
    """A folder other users may pass through (PostgreSQL does not run as root), short enough for the
    107 bytes of a Unix socket's path."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix=f"awaitd-{label}-", dir="/tmp"))
    folder.chmod(0o755)
    return folder


def free_port():
    """Not one that the kernel gives to clients, and of a class of this suite's own: suites that run
    side by side do not take each other's between this look and its use."""
    port_class = int(os.environ.get("PORT_CLASS", "0"))
    for _ in range(1000):
        port = 10000 + PORT_CLASSES * random.randrange(2800) + port_class
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("no port of 127.0.0.1 is free")


def wait_until(condition, timeout_s, what):
    """Polls `condition` until it gives something true, which is returned."""
    timeout_s = max(timeout_s, HANG_S)
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s} s: {what}")
        time.sleep(0.01)


class Process:
    """One child with its output in a file."""

    def __init__(self, command, log, environment=None, limits=None, keep=()):
        self.command = [str(word) for word in command]
        self.log = pathlib.Path(log)

        def prepare():
            die_with_parent()
            if limits:
                limits()

        with open(self.log, "ab") as output:
            self.child = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=output,
                                          stderr=subprocess.STDOUT, env=environment,
                                          preexec_fn=prepare, pass_fds=keep)

    @property
    def pid(self):
        return self.child.pid

    @property
    def running(self):
        return self.child.poll() is None

    def output(self):
        return self.log.read_text(encoding="utf-8", errors="replace")

    def send_signal(self, number):
        if self.running:
            self.child.send_signal(number)

    def wait(self, timeout_s):
        timeout_s = max(timeout_s, HANG_S)
        try:
            return self.child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {timeout_s} s: {' '.join(self.command)}\n"
                                 f"{self.output()[-4000:]}") from None

    def kill(self):
        if self.running:
            self.child.kill()
        self.child.wait()

    def end(self, number=signal.SIGTERM, timeout_s=10):
        """For clean-up: politely, then by force."""
        if self.running:
            self.child.send_signal(number)
            try:
                self.child.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self.kill()
        self.child.wait()
