"""test_awaitctl_bulk.py - awaitctl's retry, delete, promote and --where, jobs out of CSV and JSON
lines, and the completion for shells."""

import json
import os
import pty
import select
import signal
import subprocess

import pytest

from harness import daemon as daemon_module, process
from test_awaitctl import OK, REFUSED, UNREACHABLE, USAGE, Awaitctl


@pytest.fixture
def ctl(local):
    ctl = Awaitctl(local)
    ctl.run("run", "local", "CREATE TABLE t (a TEXT, b TEXT)")
    return ctl


def rows(ctl):
    return ctl.json("run", "local", "SELECT a, b FROM t ORDER BY rowid")


def gather(ctl, printed):
    ids = printed.split()
    ctl.run("gather", *ids)
    return ids


def test_steering(ctl):
    waiting = ctl.run("submit", "--delay", "1h", "local", "SELECT 1").strip()
    other = ctl.run("submit", "--delay", "1h", "local", "SELECT 1").strip()
    assert ctl.run("promote", waiting).strip() == "1"
    ctl.run("await", waiting)
    assert ctl.run("retry", waiting).strip() == "0"
    assert ctl.run("cancel", "--where", "--state", "scheduled").strip() == "1"
    assert ctl.run("retry", "--where", "-s", "cancelled", "-n", "1").strip() == "1"
    ctl.run("await", other)
    assert ctl.run("delete", "--where", "--target", "local", "--queue", "default").strip() == "2"
    assert "0 deleted" in ctl.on_terminal("delete", "--where", "--match", "*")
    assert "0 of 1 deleted" in ctl.on_terminal("delete", waiting)


def test_wrong_steering(ctl):
    for words, said in (((), "needs job ids"), (("--where", "5"), "exclude each other"),
                        (("--queue", "q", "5"), "say --where too"),
                        (("--queue", "q"), "say --where too")):
        ctl.run("retry", *words, expect=USAGE)
        assert said in ctl.said
    ctl.run("retry", "--where", expect=REFUSED)
    assert "needs at least one of" in ctl.said
    ctl.run("delete", "--where", "--state", "running", expect=REFUSED)


def test_csv(ctl, tmp_path):
    path = tmp_path / "jobs.csv"
    path.write_text('a,b\n1,"x, ""y"""\n2,\n\n"3\n",z\n', encoding="utf-8")
    printed = ctl.run("submit", "--from-csv", path, "--csv-names", "local",
                      "INSERT INTO t VALUES (?, ?)")
    assert len(gather(ctl, printed)) == 3
    assert sorted((row["a"], row["b"]) for row in rows(ctl)) == [
        ("1", 'x, "y"'), ("2", ""), ("3\n", "z")]


def test_json_lines_from_standard_input(ctl):
    lines = [["local", "INSERT INTO t VALUES (?, ?)", 1, None],
             {"target": "local", "args": ["INSERT INTO t VALUES (?, ?)", True, "\u00e4"],
              "queue": "q", "priority": 5}]
    data = "\n".join(json.dumps(line) for line in lines).encode()
    ids = gather(ctl, ctl.run("submit", "--from-json", "-", data=data))
    assert ctl.json("job", ids[1])["queue"] == "q"
    assert sorted((row["a"], row["b"] or "-") for row in rows(ctl)) == [
        ("1", "-"), ("true", "\u00e4")]


def test_thousands(ctl, tmp_path):
    path = tmp_path / "jobs.csv"
    path.write_text("".join(f"{number},x\n" for number in range(5000)), encoding="utf-8")
    printed = ctl.run("submit", "--from-csv", path, "--delay", "1h", "local",
                      "INSERT INTO t VALUES (?, ?)")
    ids = printed.split()
    assert len(set(ids)) == 5000 and ids == sorted(ids, key=int)
    shown = ctl.on_terminal("submit", "--from-csv", path, "--delay", "1h", "local", "SELECT ?, ?")
    assert "5000 jobs submitted" in shown
    assert ctl.run("delete", "--where", "--state", "scheduled").strip() == "10000"


@pytest.mark.parametrize("text,code,said", [
    ('["SELECT 1"]\n["SELECT 1"', USAGE, "line 2: an array does not end"),
    ('["SELECT 1"]\n\n{"priority":"x","args":["SELECT 1"]}', REFUSED, "line 3: ERR"),
    ('["SELECT 1"]\n{"target":"local"}', USAGE, "line 2: the target is given here and"),
])
def test_the_first_error_stops(ctl, text, code, said):
    ctl.run("submit", "--from-json", "-", "--delay", "1h", "local", data=text.encode(), expect=code)
    assert said in ctl.said
    assert "stopped; 1 jobs were submitted" in ctl.said
    ctl.run("submit", "--transaction", "--from-json", "-", "--delay", "1h", "local",
            data=text.encode(), expect=code)
    assert said in ctl.said and "nothing was submitted" in ctl.said
    assert len(ctl.json("jobs")) == 1


def test_a_transaction(ctl):
    data = b'["SELECT 20"]\n{"after":"$1","args":["SELECT 1"]}\n'
    ids = gather(ctl, ctl.run("submit", "--transaction", "--from-json", "-", "local", data=data))
    assert len(ids) == 2
    data = b'["SELECT 1"]\n' * 10001
    ctl.run("submit", "--transaction", "--from-json", "-", "local", data=data, expect=REFUSED)
    assert "line 10001: ERR a MULTI takes at most 10000 jobs" in ctl.said
    assert len(ctl.json("jobs")) == 2


def test_wrong_use(ctl, tmp_path):
    for words in (("--from-csv", "a", "--from-json", "b"), ("--from-csv", "a", "--wait"),
                  ("--from-json", "a", "--csv-names"), ("--transaction",), ("--csv-names",),
                  ("--from-csv", tmp_path / "nosuch")):
        ctl.run("submit", *words, "local", "SELECT 1", expect=USAGE)
    ctl.run("submit", expect=USAGE)
    ctl.run("submit", "local", expect=USAGE)
    ctl.environment["AWAITD_SOCKET"] = str(tmp_path / "nosuch.sock")
    ctl.run("submit", "--from-json", "-", data=b"", expect=UNREACHABLE)


def complete(script, *words):
    line = " ".join(f"'{word}'" for word in words)
    command = (f"source {script}; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _awaitctl; "
               'printf "%s\\n" "${COMPREPLY[@]}"')
    return subprocess.run(["bash", "-c", command], capture_output=True, check=True,
                          text=True).stdout.split()


def test_bash_completion(ctl, tmp_path):
    script = tmp_path / "completion"
    script.write_text(ctl.run("completion", "bash"), encoding="utf-8")
    assert complete(script, "awaitctl", "pro") == ["progress", "promote"]
    assert complete(script, "awaitctl", "retry", "--w") == ["--where"]
    assert complete(script, "awaitctl", "--json", "submit", "--from") == ["--from-csv",
                                                                          "--from-json"]
    assert complete(script, "awaitctl", "jobs", "--state", "d") == ["done", "dead"]
    ctl.run("completion", "fish", expect=USAGE)


def complete_in_zsh(folder, typed, completed):
    """Whether an interactive zsh makes `completed` of what is typed and a tab."""
    child, terminal = pty.fork()
    if child == 0:
        os.execvpe("zsh", ["zsh", "-i"], {**os.environ, "ZDOTDIR": str(folder), "TERM": "dumb",
                                          "COLUMNS": "200", "LINES": "50"})
    shown = b""

    def shows(text):
        nonlocal shown
        if select.select([terminal], [], [], 0.2)[0]:
            shown += os.read(terminal, 65536)
        return text in shown

    try:
        process.wait_until(lambda: shows(b"READY> "), 60, "zsh's prompt")
        os.write(terminal, f"{typed}\t".encode())
        process.wait_until(lambda: shows(completed.encode()), 60, f"zsh's {completed!r}")
        return True
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(terminal)


def test_zsh_completion(ctl, tmp_path):
    text = ctl.run("completion", "zsh")
    assert text.startswith("#compdef awaitctl") and "'--where[" in text
    for name in ("submit", "retry", "delete", "promote"):
        assert f"'{name}:" in text and f"        {name}) _arguments" in text
    (tmp_path / "_awaitctl").write_text(text, encoding="utf-8")
    (tmp_path / ".zshrc").write_text(
        f"fpath=({tmp_path} $fpath)\nautoload -Uz compinit; compinit -u -d {tmp_path}/dump\n"
        "PS1='READY> '\n", encoding="utf-8")
    assert complete_in_zsh(tmp_path, "awaitctl can", "awaitctl cancel ")
    assert complete_in_zsh(tmp_path, "awaitctl submit --pri", "awaitctl submit --priority ")
    assert complete_in_zsh(tmp_path, "awaitctl jobs --state de", "awaitctl jobs --state dead ")


def test_install_puts_the_completions(tmp_path):
    subprocess.run(["make", "-s", "install", f"DESTDIR={tmp_path}", "PREFIX=/usr",
                    f"BUILD={daemon_module.BUILD}"], cwd=daemon_module.TREE, check=True,
                   capture_output=True)
    assert (tmp_path / "usr/share/bash-completion/completions/awaitctl").stat().st_size > 500
    assert (tmp_path / "usr/share/zsh/site-functions/_awaitctl").stat().st_size > 500
