"""test_canaries.py - Valgrind and ThreadSanitizer see a planted bug through a switch.

The bugs are in tests/canary/canary.c. What ASan and UBSan must see is in test_sanitizer.c. The pool
of threads runs under TSan here with few calls, by `make tsan` with many.
"""

import os
import pathlib
import subprocess

import pytest
from harness import daemon as daemon_module

FOLDER = pathlib.Path(os.environ.get("BUILD", "build")).resolve() / "canary"
REPORTED = 66
LIMIT_S = 120

pytestmark = pytest.mark.skipif(daemon_module.sanitized(),
                                reason="one sanitizer at a time: shown on the ordinary build")


def run(command, **environment):
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False,
                          env={**os.environ, **environment})


def under_valgrind(name):
    return run(["valgrind", "-q", f"--error-exitcode={REPORTED}", "--leak-check=no",
                str(FOLDER / "plain"), name])


def under_tsan(name, program="thread"):
    return run([str(FOLDER / program), name],
               TSAN_OPTIONS=f"exitcode={REPORTED}:halt_on_error=0:report_signal_unsafe=0")


@pytest.mark.parametrize(("name", "words", "where"), [
    ("uninitialised-heap", "depends on uninitialised value", "read_after_a_switch"),
    ("uninitialised-stack", "depends on uninitialised value", "read_own_stack"),
    ("heap-overflow", "Invalid write of size 1", "write_behind"),
    ("use-after-free", "Invalid read of size 1", "use_after_free"),
])
def test_valgrind_sees_it_across_a_switch(name, words, where):
    result = under_valgrind(name)
    assert result.returncode == REPORTED, result.stderr
    assert words in result.stderr
    assert where in result.stderr


@pytest.mark.parametrize("name", ["innocent", "handed-over"])
def test_valgrind_reports_nothing_where_nothing_is_wrong(name):
    result = under_valgrind(name)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize(("name", "where"), [
    ("race-of-threads", "add_on_a_thread"),
    ("race-with-the-loop", "race_with_the_loop"),
])
def test_tsan_sees_a_race_with_the_offload_pool(name, where):
    result = under_tsan(name)
    assert result.returncode == REPORTED, result.stderr
    assert "WARNING: ThreadSanitizer: data race" in result.stderr
    assert where in result.stderr


@pytest.mark.parametrize("name", ["innocent", "handed-over"])
def test_tsan_reports_nothing_where_nothing_is_wrong(name):
    result = under_tsan(name)
    assert (result.returncode, result.stderr) == (0, "")


def test_tsan_reports_nothing_of_the_offload_pool_under_load():
    result = under_tsan("1000", "offload_stress")
    assert (result.returncode, result.stderr) == (0, "")
