"""test_hiredis.py - a C program on hiredis (hiredis_client.c) submits, awaits, works, listens
and pipelines."""

import subprocess

from harness import daemon


def test_c_program(make_daemon):
    local = make_daemon(targets=daemon.LOCAL + daemon.target("mail", "worker")).start()
    program = daemon.BUILD / "tests/integration/hiredis_client"
    result = subprocess.run([str(program), str(local.socket), "10000"], capture_output=True,
                            text=True, timeout=120, check=False)
    assert result.stderr == ""
    assert result.returncode == 0
    assert result.stdout == "pipelined 10000\n"
