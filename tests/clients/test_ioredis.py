"""test_ioredis.py - ioredis, the Node client that programs use most: make test-ioredis, which
installs it. Not part of make test, as the machine may have no npm registry."""

import os
import pathlib
import subprocess
import threading

import pytest

from harness import daemon as daemon_module

CHECKS = [
    "ready check by INFO", "call: submit, await, run, job", "bytes: callBuffer",
    "errors are exceptions", "pipeline of 10000", "auto-pipelining", "multi and exec",
    "await on a duplicate connection", "publish and subscribe",
    "restart please", "reconnect over a restart of the daemon",
]
HANG_S = 60


@pytest.fixture
def modules():
    folder = os.environ.get("NODE_MODULES_FOLDER")
    if not folder:
        pytest.skip("make test-ioredis runs this")
    return folder


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_ioredis(make_daemon, modules, end):
    daemon = make_daemon(targets=daemon_module.LOCAL + daemon_module.target("mail", "worker"),
                         settings="stop_timeout = 200ms").start()
    script = pathlib.Path(__file__).with_name("ioredis.js")
    with subprocess.Popen(["node", script, modules, daemon.socket], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as node:
        guard = threading.Timer(HANG_S, node.kill)
        guard.start()
        try:
            said = []
            for line in node.stdout:
                said.append(line.rstrip("\n"))
                if said[-1] == "restart please":
                    getattr(daemon, end)()
                    daemon.start()
                    node.stdin.write("it is there\n")
                    node.stdin.flush()
            problem = node.stderr.read()
            assert problem == ""
            assert said == CHECKS
            assert node.wait() == 0
        finally:
            guard.cancel()
            node.kill()
