"""test_leak.py - tasks of every kind, cancelled at random points, leave nothing behind.

`make test-leak` runs a million of them (tests/integration/leak.c).
"""

import os
import pathlib
import subprocess
import time

LEAK = pathlib.Path(os.environ.get("BUILD", "build")).resolve() / "tests/integration/leak"
TASKS = 20000


def test_cancelled_tasks_leave_nothing_behind():
    seed = str(time.time_ns() // 1000)
    result = subprocess.run([str(LEAK), str(TASKS), seed], capture_output=True, text=True,
                            timeout=300, check=False)
    told = f"leak {TASKS} {seed}:\n{result.stdout}{result.stderr}"
    assert result.returncode == 0, told
    assert "nothing has grown" in result.stdout, told
    assert result.stderr == "", told
