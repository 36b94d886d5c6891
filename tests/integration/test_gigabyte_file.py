"""test_gigabyte_file.py - the example of that name: 1 GiB moves while its ticker goes on (slow)."""

import re
import subprocess
import time

import pytest

from harness import daemon


@pytest.mark.slow
def test_ticker_goes_on(tmp_path):
    program = daemon.BUILD / "examples" / "gigabyte_file"
    began = time.monotonic()
    result = subprocess.run([program, tmp_path / "file"], capture_output=True, text=True,
                            timeout=200, check=False)
    assert result.stderr == ""
    assert result.returncode == 0
    assert "1024 MiB written and read: the same" in result.stdout
    ticks, late_ms = re.search(r"(\d+) ticks, the latest (\d+) ms late", result.stdout).groups()
    assert int(ticks) > 0
    # A loop that the file blocks is late by most of the run. Sanitizers make every copy slow, so
    # there only that is told apart; elsewhere the bound is wide because the machine may be busy.
    elapsed_ms = (time.monotonic() - began) * 1000
    assert int(late_ms) < (elapsed_ms / 4 if daemon.sanitized() else 400)
