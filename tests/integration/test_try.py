"""test_try.py - `make try` shows what it promises, checks it, and leaves nothing behind."""

import os
import subprocess

from harness import daemon as daemon_module
from harness import process

STORY = daemon_module.TREE / "tests/try/try.sh"
SERVERS = {"DATABASE_URL", "PGHOST", "REDIS_URL"}


def tell(temporary, **environment):
    clean = {name: value for name, value in os.environ.items() if name not in SERVERS}
    return subprocess.run([STORY, daemon_module.BUILD], capture_output=True, text=True, timeout=240,
                          env={**clean, "TMPDIR": str(temporary), **environment}, check=False)


def test_the_story(postgres, redis_server):
    temporary = process.temporary_folder("try")
    told = tell(temporary, DATABASE_URL=postgres.uri, REDIS_URL=redis_server.uri)
    assert told.returncode == 0, told.stdout + told.stderr
    # A busy machine is told instead of praised: two acts are about how long they took.
    assert told.stdout.count("✓") + told.stdout.count("is busy with") >= 7, told.stdout
    assert list(temporary.iterdir()) == []
    temporary.rmdir()


def test_a_daemon_that_does_not_start_is_told():
    """A story that could not fail would show nothing."""
    temporary = process.temporary_folder("try")
    build = temporary / "build"
    build.mkdir()
    (build / "awaitctl").symlink_to(daemon_module.AWAITCTL)
    (build / "awaitd").write_text("#!/bin/sh\necho no io_uring here\nexit 1\n", encoding="utf-8")
    (build / "awaitd").chmod(0o755)
    told = subprocess.run([STORY, build], capture_output=True, text=True, timeout=60, check=False,
                          env={**os.environ, "TMPDIR": str(temporary)})
    assert told.returncode == 1
    assert "did not start" in told.stderr and "no io_uring here" in told.stderr
    assert [entry.name for entry in temporary.iterdir()] == ["build"]
