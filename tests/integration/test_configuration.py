"""test_configuration.py - wrong configuration is refused as FILE:LINE: what; nothing starts."""

import re
import subprocess

import pytest

from harness import daemon as daemon_module
from harness import process, wire

GOOD = """[daemon]
state = {state}
[socket main]
path = {socket}
[target local]
type = sqlite
path = local.db
"""

POSTGRES = "[target more]\ntype = postgres\nuri = postgresql://x\n"

# (what is appended to GOOD, which line of it is wrong, what the message must name)
WRONG = {
    "unknown section": ("[nosuch]\nkey = 1\n", 1, "nosuch"),
    "unknown key": ("[target more]\ntype = sqlite\npath = x.db\ncolour = red\n", 4, "colour"),
    "unknown type": ("[target more]\ntype = oracle\n", 2, "oracle"),
    "unknown mode": ("[socket more]\npath = /tmp/x.sock\nmode = banana\n", 3, "banana"),
    "number that is none": (POSTGRES + "connections = many\n", 4, "many"),
    "number out of range": (POSTGRES + "connections = 0\n", 4, "connections"),
    "line that is none": ("[target more]\ntype = sqlite\nthis is no assignment\n", 3, ""),
    "section that is not closed": ("[target more\ntype = sqlite\n", 1, ""),
    "name that is an option": ("[target delay]\ntype = sqlite\npath = x.db\n", 1, "delay"),
    "name that begins with a digit": ("[target 1st]\ntype = sqlite\npath = x.db\n", 1, "1st"),
    "section twice": ("[target local]\ntype = sqlite\npath = y.db\n", 1, "local"),
    "unknown allow": ("[socket more]\npath = /tmp/x.sock\nallow = everything\n", 3, "everything"),
}


def write(own, extra=""):
    own.configure(GOOD.format(state=own.state, socket=own.socket) + extra)
    return GOOD.count("\n")


@pytest.mark.parametrize("name", WRONG)
def test_wrong_configuration_names_file_and_line(make_daemon, name):
    own = make_daemon()
    extra, line, word = WRONG[name]
    before = write(own, extra)
    code, said = own.refuses_to_start()
    assert code < 128
    where = f"{own.configuration}:{before + line}: "
    messages = [text for text in said.split("\n") if where in text]
    assert messages, f"no {where!r} in: {said}"
    assert word in messages[0], messages
    assert not own.socket.exists()
    assert not (own.state / "queue.db").exists(), "refused before anything was made"


MISSING = {
    "type of a target": ("[target more]\npath = x.db\n", "type"),
    "uri of a target": ("[target more]\ntype = postgres\n", "uri"),
    "path of a socket": ("[socket more]\nmode = 0600\n", "path"),
}


@pytest.mark.parametrize("name", MISSING)
def test_missing_key_names_file_and_section(make_daemon, name):
    own = make_daemon()
    extra, key = MISSING[name]
    write(own, extra)
    _, said = own.refuses_to_start()
    assert f"{own.configuration}:" in said and key in said and "more" in said, said


def test_every_mistake_is_an_error_not_a_warning(make_daemon):
    own = make_daemon()
    write(own, "[target more]\ntype = sqlite\npath = x.db\nColour = red\n")
    own.refuses_to_start()


def test_absent_file(make_daemon):
    own = make_daemon()
    own.configuration.unlink()
    _, said = own.refuses_to_start()
    assert str(own.configuration) in said and "No such file" in said


def test_comments_blanks_and_continuations_of_ini(make_daemon):
    own = make_daemon()
    own.configure("; a comment\n# another\n\n" + GOOD.format(state=own.state, socket=own.socket)
                  .replace("local.db", "local.db   ; beside the queue"))
    own.start()
    with own.connect() as client:
        assert client.call("RUN", "local", "SELECT 1 AS one") == [[b"one"], [b"1"]]
    assert (own.state / "local.db").exists()


def test_second_folder_of_settings(make_daemon):
    """awaitd.conf.d/*.conf beside the file is read after it; its mistakes name its own lines."""
    own = make_daemon()
    write(own)
    folder = own.configuration.with_name(own.configuration.name + ".d")
    folder.mkdir()
    (folder / "20-more.conf").write_text("[target more]\ntype = sqlite\npath = more.db\n",
                                         encoding="utf-8")
    own.start()
    with own.connect() as client:
        assert client.call("RUN", "more", "SELECT 1 AS one") == [[b"one"], [b"1"]]
    own.stop()
    (folder / "30-wrong.conf").write_text("\n[target other]\ntypo = sqlite\n", encoding="utf-8")
    _, said = own.refuses_to_start()
    assert f"{folder / '30-wrong.conf'}:3: " in said


def run(*words):
    return subprocess.run([str(daemon_module.AWAITD), *map(str, words)], capture_output=True,
                          text=True, timeout=60, check=False)


def test_check_of_a_good_configuration(make_daemon):
    own = make_daemon()
    write(own)
    result = run("--check", "--config", own.configuration)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "io_uring" in result.stdout + result.stderr
    assert not own.socket.exists(), "a check serves nobody"


def test_check_of_the_process(make_daemon):
    own = make_daemon()
    write(own)
    said = run("--check", "--config", own.configuration).stdout
    assert re.search(r"^kernel: Linux \d+\.\d+\S*, io_uring works$", said, re.M), said
    with open("/proc/self/status", encoding="ascii") as status:
        filtered = "Seccomp:\t2" in status.read()  # this process is in a container
    words = "a filter of system calls" if filtered else "no filter of system calls"
    assert re.search(f"^sandbox: {words}.*: fine for a try", said, re.M), said
    assert "limits: descriptors for 10000 clients" in said, said
    confined = subprocess.run(["prlimit", "--nofile=600", "--", daemon_module.AWAITD, "--check",
                               "--config", own.configuration], capture_output=True, text=True,
                              timeout=60, check=False).stdout
    assert re.search("limits: warning: 600 descriptors are too few for clients_max = 10000: raise "
                     "LimitNOFILE=.* to 10256", confined), confined


def test_check_of_a_wrong_configuration(make_daemon):
    own = make_daemon()
    before = write(own, "[nosuch]\n")
    result = run("--check", "--config", own.configuration)
    assert result.returncode > 0
    assert f"{own.configuration}:{before + 1}: " in result.stdout + result.stderr


def test_help_and_version():
    assert "--config" in run("--help").stdout
    assert run("--version").stdout.startswith("awaitd ")
    assert run("--nosuch").returncode > 0


def test_socket_mode(make_daemon):
    own = make_daemon()
    own.configure(GOOD.format(state=own.state, socket=own.socket).replace(
        "[target local]", "mode = 0600\n[target local]"))
    own.start()
    assert own.socket.stat().st_mode & 0o777 == 0o600


def test_two_sockets(make_daemon):
    own = make_daemon()
    other = own.folder / "other.sock"
    write(own, f"[socket other]\npath = {other}\n")
    own.start()
    with wire.Wire(other) as client:
        assert client.call("PING") == "PONG"
    own.stop()
    process.wait_until(lambda: not other.exists(), 5, "both sockets to be gone")


def test_password_is_never_shown(make_daemon):
    own = make_daemon()
    write(own, "[target main]\ntype = postgres\n"
          "uri = postgresql://app:s3cr3tword@127.0.0.1:1/x\nconnections = many\n")
    _, said = own.refuses_to_start()
    assert "s3cr3tword" not in said


def check(own, targets, settings=""):
    own.configure(f"[daemon]\nstate = {own.state}\n{settings}\n[socket main]\n"
                  f"path = {own.socket}\n{targets}")
    result = run("--check", "--config", own.configuration)
    return result.returncode, result.stdout


def test_check_asks_each_target(make_daemon, postgres, redis_server):
    own = make_daemon()
    code, said = check(own, daemon_module.target("main", "postgres", uri=postgres.uri) +
                       daemon_module.target("cache", "redis", uri=redis_server.uri) +
                       daemon_module.target("local", "sqlite", path="local.db") +
                       "[target crew]\ntype = worker\n[target any]\ntype = http\nhosts = *\n")
    assert code == 0, said
    for line in ("target main: answers", "target cache: answers", "local.db does not exist yet",
                 "target crew: waits for workers", "target any: calls the hosts"):
        assert line in said, said
    assert not list(own.state.iterdir()), "a check makes nothing"


@pytest.mark.parametrize("kind, keys, remedy", [
    ("postgres", {"uri": "postgresql://app:s3cr3t@127.0.0.1:1/x"}, "psql"),
    ("redis", {"uri": "redis://127.0.0.1:1/0"}, "redis-cli"),
    ("http", {"uri": "http://127.0.0.1:1/"}, "curl"),
    ("sqlite", {"path": "/no/such/folder/x.db"}, "look at path")])
def test_check_names_what_does_not_answer(make_daemon, kind, keys, remedy):
    code, said = check(make_daemon(), daemon_module.target("away", kind, **keys))
    assert code == 69
    assert "target away: does not answer: " in said and remedy in said
    assert "s3cr3t" not in said


def test_check_of_the_state_folder(make_daemon):
    own = make_daemon()
    code, said = check(own, "", "disk_free_min = 1024T")
    assert code == 73 and "less than disk_free_min" in said
    own.state.rmdir()
    code, said = check(own, "")
    assert code == 73 and f"cannot write to the folder {own.state}" in said


def test_dump_shows_every_key_and_where_it_comes_from(make_daemon):
    own = make_daemon()
    write(own, "[target main]\ntype = postgres\nuri = postgresql://app:s3cr3t@h/d?password=t0ken\n"
               "[queue nightly]\nrate = 30/m\nkeep = 90m\n")
    folder = own.configuration.with_name(own.configuration.name + ".d")
    folder.mkdir()
    drop_in = folder / "10-more.conf"
    drop_in.write_text("[queue nightly]\nretry = 9\n", encoding="utf-8")
    result = run("--dump-config", "--config", own.configuration)
    assert result.returncode == 0, result.stderr
    lines = [re.sub(" +; ", " ; ", line) for line in result.stdout.splitlines()]
    number = {line: index for index, line in
              enumerate(own.configuration.read_text(encoding="utf-8").splitlines(), 1)}
    assert f"retry = 9 ; {drop_in}:2" in lines
    assert f"rate = 30/m ; {own.configuration}:{number['rate = 30/m']}" in lines
    assert f"keep = 90m ; {own.configuration}:{number['keep = 90m']}" in lines
    assert ";clients_max = 10000 ; default" in lines
    assert any(line.startswith("uri = postgresql://app:***@h/d?password=*** ; ") for line in lines)
    assert "s3cr3t" not in result.stdout + result.stderr and "t0ken" not in result.stdout
    # What was dumped is a configuration, and its dump has the same values.
    again = own.folder / "again.conf"
    again.write_text(result.stdout, encoding="utf-8")
    second = run("--dump-config", "--config", again)
    assert second.returncode == 0, second.stderr
    values = [line.split(" ; ")[0] for line in lines]
    assert [re.sub(" +; .*", "", line) for line in second.stdout.splitlines()] == \
        [value.rstrip() for value in values]


def test_dump_of_a_wrong_configuration(make_daemon):
    own = make_daemon()
    before = write(own, "[nosuch]\n")
    result = run("--dump-config", "--config", own.configuration)
    assert (result.returncode, result.stdout) == (78, "")
    assert f"{own.configuration}:{before + 1}: " in result.stderr
