"""test_kernel.py - the same program on the oldest kernel that is promised, Linux 6.1: a filter
refuses all that came later, and what the ring is asked for when it is set up is looked at."""

import re
import subprocess
import sys

from harness import daemon as daemon_module
from harness import process, seccomp, wire

DEFER_TASKRUN = 1 << 13 # the newest flag of io_uring_setup that Linux 6.1 knows


def guards_by_mprotect(pid):
    """Mappings of the process that nobody may touch; MADV_GUARD_INSTALL needs none."""
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps:
        return sum(1 for line in maps if re.search(r" ---p 00000000 00:00 0 *$", line))


def try_all(own, table):
    with own.connect() as client:
        insert = client.call("SUBMIT", "main", f"INSERT INTO {table} (v) VALUES ($1)", "old")
        for target, words in (("cache", ("SET", "k", "v")), ("local", ("SELECT 42",))):
            job = client.call("SUBMIT", target, *words)
            assert not isinstance(client.call("AWAIT", job), wire.Error)
        assert client.call("AWAIT", insert) == "INSERT 0 1"
        client.send("RESERVE", "mail", "TIMEOUT", 60000)
        with own.connect() as other:
            other.call("SUBMIT", "mail", "hello")
        (number, token, _attempt, message), = client.read()
        assert message == b"hello"
        assert client.call("ACK", number, token) == "OK"
        # many stacks at once, and one that is used deeply
        jobs = [client.call("SUBMIT", "local", "SELECT sleep(100)") for _ in range(64)]
        assert all(not isinstance(answer, wire.Error)
                   for answer in client.call("GATHER", *jobs))


def test_the_daemon_on_linux_6_1(make_daemon, postgres, redis_server, table):
    own = make_daemon(daemon_module.target("main", "postgres", uri=postgres.uri)
                      + daemon_module.target("cache", "redis", uri=redis_server.uri)
                      + daemon_module.LOCAL + daemon_module.target("mail", "worker"))
    own.start(limits=seccomp.be_linux_6_1)
    try_all(own, table)
    assert guards_by_mprotect(own.pid) >= 16, "the filter refused what guards the stacks else"
    own.kill()
    own.start(limits=seccomp.be_linux_6_1)
    with own.connect() as client:
        assert client.call("PING") == "PONG"


def test_the_filter_is_no_paper_tiger():
    """It refuses what this kernel may well have."""
    script = ("import ctypes, mmap\n"
              "libc = ctypes.CDLL(None, use_errno=True)\n"
              "memory = mmap.mmap(-1, 8192)\n"
              "address = ctypes.addressof(ctypes.c_char.from_buffer(memory))\n"
              "for advice, expected in ((14, 0), (102, 22)):\n"
              "    result = libc.madvise(ctypes.c_void_p(address), 4096, advice)\n"
              "    assert (result and ctypes.get_errno()) == expected, advice\n"
              "assert libc.syscall(440, -10001, 0, 0, 102, 0) < 0 and ctypes.get_errno() == 9\n"
              "assert libc.syscall(451, 0, 0, 0, 0, 0) < 0 and ctypes.get_errno() == 38\n"
              "assert libc.syscall(427, 9999, 26, 0, 0) < 0 and ctypes.get_errno() == 22\n"
              "assert libc.syscall(427, 9999, 25, 0, 0) < 0 and ctypes.get_errno() == 9\n"
              "assert libc.syscall(426, 9999, 0, 0, 32, 0, 0) < 0 and ctypes.get_errno() == 22\n"
              "assert libc.syscall(426, 9999, 0, 0, 1, 0, 0) < 0 and ctypes.get_errno() == 9\n")
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60,
                   preexec_fn=seccomp.be_linux_6_1)


def setup_flags(own, folder, *options):
    """What each io_uring_setup of a daemon's start asked for, and the exit code."""
    output = folder / "strace"
    run = subprocess.run([process.need("strace"), "-e", "trace=io_uring_setup", "-X", "raw", "-o",
                          output, *options, daemon_module.AWAITD, "--config", own.configuration,
                          "--check"], capture_output=True, text=True, timeout=120, check=False)
    flags = re.findall(r"flags=(0x[0-9a-f]+)", output.read_text(encoding="utf-8"))
    assert flags, run.stderr
    return [int(text, 16) for text in flags], run.returncode


def test_the_ring_needs_nothing_newer(make_daemon, tmp_path):
    """liburing may ask for more than we do, and asks again for less when the kernel refuses."""
    flags, code = setup_flags(make_daemon(), tmp_path)
    if flags[0] >= 2 * DEFER_TASKRUN:
        flags, code = setup_flags(make_daemon(), tmp_path, "-e",
                                  "inject=io_uring_setup:error=EINVAL:when=1")
    assert code == 0
    assert DEFER_TASKRUN <= flags[-1] < 2 * DEFER_TASKRUN, [hex(number) for number in flags]
