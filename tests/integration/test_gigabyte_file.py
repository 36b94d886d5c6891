"""test_gigabyte_file.py - the example of that name: 1 GiB moves while its ticker goes on (slow)."""

import re
import subprocess

import pytest

from harness import daemon


@pytest.mark.slow
def test_ticker_goes_on(tmp_path):
    program = daemon.BUILD / "examples" / "gigabyte_file"
    result = subprocess.run([program, tmp_path / "file"], capture_output=True, text=True,
                            timeout=280, check=False)
    assert result.stderr == ""
    assert result.returncode == 0
    assert "1024 MiB written and read: the same" in result.stdout
    # How many turns the loop makes meanwhile is counted in the unit test of whole files.
    ticks = re.search(r"(\d+) ticks, the latest \d+ ms late", result.stdout).group(1)
    assert int(ticks) >= 5  # a loop that a transfer holds up ticks before, between and after
