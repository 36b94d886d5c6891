"""test_system.py - what the process may do to the system: its calls, its threads, its memory."""

import re
import time

import pytest

from harness import container
from harness import daemon as daemon_module
from harness import process, seccomp, wire

# Calls the loop thread must not make for clients and the queue: they are ring operations.
FORBIDDEN = ("read,pread64,readv,preadv,preadv2,write,pwrite64,writev,pwritev,pwritev2,fsync,"
             "fdatasync,sync_file_range,poll,ppoll,select,pselect6,epoll_wait,epoll_pwait,"
             "epoll_ctl,accept,accept4,recvfrom,recvmsg,sendto,sendmsg,nanosleep,clock_nanosleep")


def load(local, rounds=20):
    with local.connect() as client:
        for _ in range(rounds):
            jobs = client.pipeline(("SUBMIT", "DELAY", "3600000", "local", "SELECT 1")
                                   for _ in range(100))
            jobs += client.pipeline(("SUBMIT", "local", "SELECT ?", "x" * 200) for _ in range(20))
            client.call("GATHER", *jobs[100:])
            client.call("CANCEL", *jobs[:50])


def traced(local, expression, action, folder):
    """Runs `action` while strace follows every thread of the daemon; the lines it wrote."""
    output = folder / "strace"
    tracer = process.Process(
        [process.need("strace"), "-f", "-y", "-q", "-s", "0", "-e", f"trace={expression}", "-o",
         output, "-p", local.pid], folder / "strace.log")
    try:
        process.wait_until(lambda: tracer_of(local.pid) == tracer.pid, 20,
                           f"strace to attach\n{tracer.output()}")
        action()
    finally:
        tracer.end()
    return output.read_text(encoding="utf-8", errors="replace").split("\n")


def tracer_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return int(re.search(r"TracerPid:\s+(\d+)", status.read()).group(1))


@pytest.mark.skipif(daemon_module.sanitized(), reason="the leak checker makes calls of its own")
def test_loop_thread_uses_the_ring_only(local, tmp_path):
    load(local, 2)
    lines = traced(local, FORBIDDEN, lambda: load(local), tmp_path)
    mine = [line for line in lines if line.startswith(f"{local.pid} ") or line.startswith("[pid")]
    # Its log goes to standard error, descriptor 2, by write(2): the one exception.
    guilty = [line for line in mine if not re.match(r"\d+ +write(v)?\(2<", line)
              and "resumed>" not in line and "---" not in line]
    assert guilty == [], f"{len(guilty)} calls, the first: {guilty[:5]}"


@pytest.mark.skipif(daemon_module.sanitized(), reason="shown on the ordinary build")
def test_trace_sees_the_ring_at_work(local, tmp_path):
    """The check above would pass on a tracer that sees nothing; this one would not."""
    lines = traced(local, "io_uring_enter", lambda: load(local, 2), tmp_path)
    assert sum("io_uring_enter(" in line for line in lines) > 10


def test_threads_are_bounded(three, table):
    with three.connect() as client:
        jobs = client.pipeline(("SUBMIT", "main", "SELECT pg_sleep(0.01)") for _ in range(200))
        jobs += client.pipeline(("SUBMIT", "local", "SELECT sleep(10)") for _ in range(200))
        jobs += client.pipeline(("SUBMIT", "cache", "PING") for _ in range(200))
        most = 0
        client.send("GATHER", *jobs)
        for _ in range(50):
            most = max(most, len(three.threads()))
            time.sleep(0.005)
        assert not any(isinstance(reply, wire.Error) for reply in client.read())
    assert most <= 17, three.threads()


@pytest.mark.skipif(container.in_use(), reason="a password's hash brings 2 MiB of OpenSSL's code")
@pytest.mark.skipif(daemon_module.sanitized(), reason="a sanitizer's shadow memory is not ours")
def test_idle_daemon_is_small(three):
    with three.connect() as client:
        client.call("PING")
    resident = three.resident_bytes()
    assert resident < 12 << 20, f"{resident / (1 << 20):.1f} MiB resident"


@pytest.mark.skipif(daemon_module.sanitized(), reason="a sanitizer's quarantine grows by design")
def test_backlog_is_on_disk_not_in_memory(local):
    """Buffers and the log of the store fill up to their limits first; more jobs need no more."""
    with local.connect() as client:
        def submit(count):
            for _ in range(count // 2000):
                client.pipeline(("SUBMIT", "DELAY", "3600000", "local", "SELECT ?", "x" * 1000)
                                for _ in range(2000))

        submit(60000)
        before = local.resident_bytes()
        submit(60000)
        growth = local.resident_bytes() - before
    assert int(local.info()["jobs_in_memory"]) == 0
    assert growth < 20 << 20, f"{growth >> 20} MiB more for 60,000 more waiting jobs of 1 kB"


@pytest.mark.skipif(daemon_module.sanitized(), reason="shown on the ordinary build")
def test_idle_daemon_sleeps(local, tmp_path):
    """No timer ticks without need: an idle daemon makes a call or two a second, all threads."""
    seconds = 0.0

    def idle():
        nonlocal seconds
        begin = time.monotonic()
        time.sleep(2)
        seconds = time.monotonic() - begin

    with local.connect() as client:
        client.call("PING")
        calls = traced(local, "all", idle, tmp_path)
    assert len(calls) > 1, "the tracer is blind"
    assert len(calls) < 30 * seconds, calls[:50]


def test_forbidden_ring_is_explained(make_daemon):
    """Cause and remedy, in the words of an administrator, and no start."""
    _code, said = make_daemon().refuses_to_start(limits=seccomp.forbid_io_uring)
    assert "io_uring" in said and ("seccomp" in said or "io_uring_disabled" in said), said
