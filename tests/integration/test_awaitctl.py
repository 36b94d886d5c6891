"""test_awaitctl.py - the command-line client against the real daemon: what it prints for people,
for pipes and for programs, and the exit codes scripts depend on."""

import json
import os
import pty
import re
import subprocess

import pytest

from harness import daemon as daemon_module
from harness import process

OK, FAILED, USAGE, UNREACHABLE, TIMEOUT, REFUSED, OUTPUT = range(7)


class Awaitctl:
    def __init__(self, daemon):
        self.environment = {**os.environ, "AWAITD_SOCKET": str(daemon.socket), "TZ": "UTC"}

    def start(self, *words, **options):
        return subprocess.Popen([daemon_module.AWAITCTL, *map(str, words)], env=self.environment,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)

    def run(self, *words, expect=OK, data=None):
        """What it printed; its messages are in self.said."""
        done = subprocess.run([daemon_module.AWAITCTL, *map(str, words)], env=self.environment,
                              input=data, capture_output=True, timeout=60, check=False)
        self.said = done.stderr.decode()
        assert done.returncode == expect, (done.returncode, done.stdout, self.said)
        return done.stdout.decode()

    def json(self, *words, **options):
        return json.loads(self.run("--json", *words, **options))

    def on_terminal(self, *words):
        ours, theirs = pty.openpty()
        with os.fdopen(ours, "rb", buffering=0) as screen:
            child = subprocess.Popen([daemon_module.AWAITCTL, *map(str, words)], stdin=theirs,
                                     stdout=theirs, stderr=theirs, close_fds=True,
                                     env={**self.environment, "TERM": "xterm", "NO_COLOR": ""})
            os.close(theirs)
            shown = b""
            try:
                while block := screen.read(65536):
                    shown += block
            except OSError:  # the terminal's other end is closed
                pass
            assert child.wait(30) == 0, shown
        return shown.decode().replace("\r\n", "\n")


@pytest.fixture
def ctl(local):
    return Awaitctl(local)


def test_keys_and_dependencies(ctl):
    first = ctl.run("submit", "--key", "k", "--delay", "1h", "local", "SELECT 1").strip()
    assert ctl.run("submit", "--key", "k", "local", "SELECT 2").strip() == first
    second = ctl.run("submit", "--after", f"{first},{first}", "--onfail", "run", "--serial", "s",
                     "--expire", "1h", "local", "SELECT 'ran'").strip()
    job = ctl.json("job", second)
    assert job["state"] == "blocked" and job["serial"] == "s" and job["onfail"] == "run"
    assert job["after"] == [first] and job["blockers"] == 1
    ctl.run("cancel", first)
    assert ctl.run("await", second).strip() == "ran"
    ctl.run("submit", "--after", "x", "local", "SELECT 1", expect=USAGE)
    ctl.run("submit", "--after", "7", "local", "SELECT 1", expect=REFUSED)
    assert "NOJOB" in ctl.said or "no job 7" in ctl.said


def test_submit_await_and_run(ctl):
    ctl.run("run", "local", "CREATE TABLE t (v TEXT)")
    job = ctl.run("submit", "--retry", "2", "--queue", "q", "local", "INSERT INTO t VALUES (?)",
                  "-5").strip()
    assert re.fullmatch(r"\d+", job)
    assert ctl.run("await", job) == "INSERT 0 1\n"
    assert ctl.run("run", "local", "SELECT v FROM t") == "-5\n"
    assert ctl.run("submit", "--wait", "local", "SELECT 7 AS n") == "7\n"
    assert ctl.json("submit", "--wait", "local", "SELECT 7 AS n")["result"] == [{"n": "7"}]


def test_rows_for_people_pipes_and_programs(ctl):
    query = ("run", "local", "SELECT 1 AS n, 'a' || char(9) || 'b' AS tabbed, NULL AS void, "
             "'NULL' AS word")
    assert ctl.run(*query) == "1\ta\\tb\t\\N\tNULL\n"
    assert ctl.run("--header", *query).splitlines()[0] == "n\ttabbed\tvoid\tword"
    assert ctl.json(*query) == [{"n": "1", "tabbed": "a\tb", "void": None, "word": "NULL"}]
    table = ctl.run("--table", *query).splitlines()
    assert table[2] == "1  a\\tb    <NULL>  NULL"
    assert table[-1] == "(1 row)"


def test_a_stored_escape_sequence_does_not_reach_the_terminal(ctl):
    shown = ctl.on_terminal("run", "local", "SELECT char(27) || '[2J' AS trap, NULL AS void")
    assert "\\x1b[2J" in shown and "\x1b[2J" not in shown
    assert "\x1b[2mNULL" in shown, "NULL is dim"


def test_bytes_survive_the_pipe_and_json(ctl):
    ctl.run("run", "local", "CREATE TABLE b (v BLOB)")
    ctl.run("run", "--null", "2", "local", "INSERT INTO b VALUES (x'ff00'), (?)", "")
    assert ctl.json("run", "local", "SELECT v FROM b") == [{"v": {"base64": "/wA="}}, {"v": None}]


def test_arguments_from_files_and_standard_input(ctl, local):
    statement = local.folder / "statement.sql"
    statement.write_text("SELECT ? AS v", encoding="utf-8")
    assert ctl.run("run", "--files", "local", f"@{statement}", "-", data=b"x y") == "x y\n"
    assert ctl.run("run", "--files", "local", f"@{statement}", "@@home") == "@home\n"
    assert ctl.run("run", "local", "SELECT ? AS v", "@home") == "@home\n", "only when asked for"
    ctl.run("run", "--files", "local", "@/nonexistent", expect=USAGE)


def test_gather_and_race(ctl):
    good = ctl.run("submit", "local", "SELECT 1 AS n").strip()
    bad = ctl.run("submit", "local", "SELEC").strip()
    lines = ctl.run("gather", good, bad, expect=FAILED).splitlines()
    assert lines[0] == f"{good}\tdone\t1"
    assert lines[1].startswith(f"{bad}\tfailed\tSQLITE_ERROR")
    results = ctl.json("gather", good, bad, expect=FAILED)
    assert results[0] == {"id": good, "result": [{"n": "1"}]}
    assert results[1]["id"] == bad and results[1]["error"]["code"] == "FAILED"
    slow = ctl.run("submit", "local", "SELECT sleep(60000)").strip()
    assert ctl.json("race", slow, good) == {"id": good, "result": [{"n": "1"}]}
    assert ctl.run("gather", good, slow, "--timeout", "50ms", expect=TIMEOUT)
    assert ctl.run("cancel", slow, good) == "1\n"
    ctl.run("await", slow, expect=FAILED)
    assert "CANCELLED" in ctl.said


def test_exit_codes_and_messages(ctl, local):
    dead = ctl.run("submit", "local", "SELECT * FROM nosuch").strip()
    ctl.run("await", dead, expect=FAILED)
    assert ctl.said.startswith(f"awaitctl: job {dead}: FAILED SQLITE_ERROR")
    assert ctl.said.count("\n") == 1
    ctl.run("await", "1", expect=REFUSED)
    assert "NOJOB" in ctl.said
    ctl.run("submit", "nosuch", "SELECT 1", expect=REFUSED)
    assert "NOTARGET" in ctl.said
    late = ctl.run("submit", "--delay", "1h", "local", "SELECT 1").strip()
    ctl.run("await", "--timeout", "50ms", late, expect=TIMEOUT)
    ctl.run("submit", "--wait=50ms", "--delay", "1h", "local", "SELECT 1", expect=TIMEOUT)
    ctl.run("submit", "--delay", "5", "local", "SELECT 1", expect=USAGE)
    assert "500ms" in ctl.said
    ctl.run("nosuch", expect=USAGE)
    ctl.run("await", expect=USAGE)
    local.stop()
    ctl.run("ping", expect=UNREACHABLE)
    assert str(local.socket) in ctl.said and "start" in ctl.said


def test_full_disk_of_the_output_is_told(ctl):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([daemon_module.AWAITCTL, "ping"], env=ctl.environment, stdout=full,
                              stderr=subprocess.PIPE, timeout=60, check=False)
    assert done.returncode == OUTPUT
    assert b"No space left" in done.stderr


def test_job_and_jobs(ctl):
    ids = [ctl.run("submit", "-q", "bulk", "--delay", "1h", "local", "SELECT 1", n).strip()
           for n in range(25)]
    listed = ctl.run("jobs", "--all", "--limit", "7", "--queue", "bulk").splitlines()
    assert [line.split("\t")[0] for line in listed] == ids
    assert {line.split("\t")[1] for line in listed} == {"scheduled"}
    assert [job["id"] for job in ctl.json("jobs", "-a", "-n", "4", "-q", "bulk")] == ids
    ctl.run("jobs", "--limit", "3", "-q", "bulk")
    assert "--cursor" in ctl.said and "--all" in ctl.said
    assert ctl.json("job", ids[0])["state"] == "scheduled"
    shown = ctl.run("--table", "job", ids[0])
    assert re.search(rf"^id: +{ids[0]}$", shown, re.M)
    assert re.search(r"^created: +20\d\d-\d\d-\d\d \d\d:\d\d:\d\d$", shown, re.M)


def wait_for_waiting(local, count):
    """Until the daemon says that so many clients wait; the one that asks counts itself."""
    process.wait_until(lambda: int(local.info()["blocked_clients"]) == count + 1, 60,
                       f"{count} to wait")


def test_await_goes_on_over_a_crash_of_the_daemon(ctl, local):
    job = ctl.run("submit", "--delay", "3s", "local", "SELECT 5 AS n").strip()
    waiter = ctl.start("await", job)
    wait_for_waiting(local, 1)
    local.kill()
    local.start()
    printed, said = waiter.communicate(timeout=60)
    assert (waiter.returncode, printed) == (OK, b"5\n"), said
    assert b"trying again" in said


def test_await_goes_on_over_a_restart(ctl, local):
    job = ctl.run("submit", "--delay", "3s", "local", "SELECT 5 AS n").strip()
    waiters = [ctl.start("await", job), ctl.start("gather", job)]
    wait_for_waiting(local, 2)
    local.restart()
    for waiter, expected in zip(waiters, (b"5\n", job.encode() + b"\tdone\t5\n")):
        printed, said = waiter.communicate(timeout=60)
        assert (waiter.returncode, printed) == (OK, expected), said
        assert b"trying again" in said


def test_ping_info_and_call(ctl):
    assert ctl.run("ping") == "PONG\n"
    assert ":" in ctl.run("info")
    assert all(isinstance(section, dict) for section in ctl.json("info").values())
    assert ctl.run("call", "ECHO", "-x") == "-x\n"
    ctl.run("call", "NOSUCH", expect=REFUSED)


def test_help_names_every_command_and_exit_code(ctl):
    helped = ctl.run("--help")
    for command in re.findall(r"^  ([a-z]+) ", helped.split("Options")[0], re.M):
        text = ctl.run(command, "--help")
        assert f"Usage: awaitctl {command}" in text and "Exit codes" in text


def test_enter_runs_lines_on_one_connection(ctl, tmp_path):
    ctl.run("run", "local", "CREATE TABLE t (v TEXT UNIQUE)")
    insert = "INSERT INTO t VALUES ('{}')\n"
    assert ctl.run("enter", "-x", "local", data=(insert.format("a") + "\n" + insert.format("b")
                                                 ).encode()) == "INSERT 0 1\nINSERT 0 1\n"
    assert ctl.run("run", "local", "SELECT count(*) FROM t").split()[-1] == "2"
    ctl.run("enter", "--transaction", "local", expect=FAILED,
            data=(insert.format("c") + insert.format("a")).encode())
    assert "line 2: FAILED SQLITE_CONSTRAINT_UNIQUE" in ctl.said
    ctl.run("enter", "local", expect=FAILED, data=("BEGIN\n" + insert.format("d")).encode())
    assert "rolled back" in ctl.said
    assert ctl.run("run", "local", "SELECT count(*) FROM t").split()[-1] == "2"
    script = tmp_path / "script.sql"
    script.write_text("BEGIN\r\n" + insert.format("e") + "COMMIT", encoding="utf-8")
    assert ctl.run("enter", "--file", script, "local") == "BEGIN\nINSERT 0 1\nCOMMIT\n"
    ctl.run("enter", "--file", tmp_path / "none", "local", expect=USAGE)
    ctl.run("enter", "nosuch", expect=REFUSED, data=b"")
    ctl.run("enter", "--timeout", "1h", "local", expect=REFUSED, data=b"")
    assert "lease_max" in ctl.said


def test_enter_with_words_is_for_redis(three, redis_client):
    ctl = Awaitctl(three)
    assert ctl.run("enter", "-x", "-w", "cache", data=b"SET k  1\nINCR k\n").startswith(
        "QUEUED\nQUEUED\n")
    assert redis_client.get("k") == b"2"
