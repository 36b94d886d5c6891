"""test_gigabyte_file.py - the example of that name: 1 GiB moves while its ticker goes on (slow)."""

import os
import re
import subprocess

import pytest

from harness import daemon

PACKAGES = ["liburing", "libpq", "hiredis", "sqlite3", "libssl", "libcrypto"]


@pytest.mark.slow
def test_ticker_goes_on(tmp_path):
    root = daemon.TREE
    program = tmp_path / "gigabyte_file"
    libraries = subprocess.run(["pkg-config", "--libs", *PACKAGES], capture_output=True, text=True,
                               check=True).stdout.split()
    subprocess.run([os.environ.get("CC", "cc"), "-Wall", "-Werror", "-o", program,
                    root / "docs/examples/gigabyte_file.c", f"-I{root}/lib/include",
                    f"-L{daemon.BUILD}", "-lawait", f"-Wl,-rpath,{daemon.BUILD}", *libraries],
                   check=True, timeout=60)
    result = subprocess.run([program, tmp_path / "file"], capture_output=True, text=True,
                            timeout=200, check=False)
    assert result.stderr == ""
    assert result.returncode == 0
    assert "1024 MiB written and read: the same" in result.stdout
    ticks, late_ms = re.search(r"(\d+) ticks, the latest (\d+) ms late", result.stdout).groups()
    assert int(ticks) > 0
    assert int(late_ms) < 400  # wide: the machine may be busy
