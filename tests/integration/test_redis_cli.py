"""test_redis_cli.py - redis-cli is a client too, in RESP2 and RESP3, and so are shell scripts."""

import subprocess

from harness import process


def cli(daemon, *words, feed=None, options=()):
    result = subprocess.run([process.need("redis-cli"), "-s", str(daemon.socket), *options, *words],
                            input=feed, capture_output=True, text=True, timeout=60, check=False)
    return result.stdout.strip()


def test_the_issue_in_the_shell(three, table):
    job = cli(three, "SUBMIT", "main", f"INSERT INTO {table}(v) VALUES ($1)", "hello")
    assert job.isdigit()
    assert cli(three, "AWAIT", job) == "INSERT 0 1"
    assert cli(three, "RUN", "main", "SELECT 1 AS one").split() == ["one", "1"]
    job = cli(three, "SUBMIT", "cache", "SET", "k", "v")
    assert cli(three, "AWAIT", job) == "OK"
    assert cli(three, "RUN", "cache", "GET", "k") == "v"


def test_resp3(three):
    assert cli(three, "RUN", "local", "SELECT 1 AS one", options=("-3",)).split() == ["one", "1"]


def test_commands_from_standard_input(local):
    out = cli(local, feed="PING\nECHO two\nRUN local \"SELECT 3 AS three\"\n")
    assert out.split() == ["PONG", "two", "three", "3"]


def test_mass_insertion_by_pipe(local):
    feed = "".join(f'SUBMIT DELAY 3600000 local "SELECT {number}"\r\n' for number in range(5000))
    out = cli(local, options=("--pipe",), feed=feed)
    assert "errors: 0, replies: 5000" in out


def test_error_text(three):
    assert cli(three, "RUN", "main", "SELEC").startswith("FAILED 42601 ")
