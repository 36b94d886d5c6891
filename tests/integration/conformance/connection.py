"""connection.py - what clients send by themselves, INFO, and what an operator does."""

import sqlite3

from conformance import stage as stage_module
from conformance.table import restart, use, wrong
from harness import wire


def arguments_of(name):
    return f"ERR wrong number of arguments for '{name}' command"


@use("PING")
def pong_or_the_text(stage):
    assert stage.client.call("PING") == wire.Status("PONG")
    assert stage.client.call("ping", b"a\0b") == b"a\0b"


wrong("PING", ("PING a b", arguments_of("ping")))


@use("ECHO")
def the_text(stage):
    assert stage.call("ECHO", b"\r\n\0") == b"\r\n\0"


wrong("ECHO", ("ECHO", arguments_of("echo")), ("ECHO a b", arguments_of("echo")))


@use("HELLO")
def the_description(stage):
    for words in ((), (str(stage.protocol),)):
        fields = stage.map(stage.call("HELLO", *words))
        assert fields["server"] == "awaitd" and fields["proto"] == stage.protocol
        assert (fields["mode"], fields["role"], fields["modules"]) == ("standalone", "master", [])
        assert fields["id"] == stage.call("CLIENT", "ID")


@restart("HELLO")
def a_new_connection_begins_with_resp2(stage):
    stage.call("HELLO", "3")
    yield
    with stage.daemon.connect() as client:
        assert isinstance(client.call("HELLO"), list)


wrong("HELLO",
      ("HELLO 4", "NOPROTO unsupported protocol version"),
      ("HELLO x", "NOPROTO unsupported protocol version"),
      ("HELLO 3 NAME x", "ERR Syntax error in HELLO option 'NAME'"))


@use("HELLO AUTH")
def refused_as_by_redis_without_a_password(stage):
    stage.refused(["HELLO", "3", "AUTH", "default", "secret"],
                  "ERR AUTH called without any password configured")
    assert isinstance(stage.call("HELLO"), dict) == (stage.protocol == 3)


wrong("HELLO AUTH",
      ("HELLO 3 AUTH user", "ERR Syntax error in HELLO option 'AUTH'"))


@use("HELLO SETNAME")
def the_name_is_set(stage):
    stage.call("HELLO", str(stage.protocol), "SETNAME", stage.name)
    assert stage.call("CLIENT", "GETNAME") == stage.name.encode()


wrong("HELLO SETNAME",
      ("HELLO 3 SETNAME", "ERR Syntax error in HELLO option 'SETNAME'"),
      (("HELLO", "3", "SETNAME", "a b"), "ERR Client names cannot contain spaces"))


@use("AUTH")
def refused_with_the_reason(stage):
    for words in (["secret"], ["default", "secret"]):
        stage.refused(["AUTH", *words], "ERR AUTH called without any password configured: ... mode")


wrong("AUTH", ("AUTH", arguments_of("auth")), ("AUTH a b c", arguments_of("auth")))


@use("SELECT")
def zero(stage):
    assert stage.call("SELECT", "0") == "OK"


wrong("SELECT", ("SELECT 1", "ERR DB index is out of range"), ("SELECT", arguments_of("select")))


@use("CLIENT SETNAME")
@use("CLIENT GETNAME")
def set_and_get(stage):
    assert stage.client.call("CLIENT", "GETNAME") is None
    assert stage.call("CLIENT", "SETNAME", stage.name) == "OK"
    assert stage.call("CLIENT", "GETNAME") == stage.name.encode()
    assert stage.call("CLIENT", "SETNAME", "") == "OK"
    assert stage.client.call("CLIENT", "GETNAME") is None


@restart("CLIENT SETNAME")
def a_name_ends_with_its_connection(stage):
    stage.call("CLIENT", "SETNAME", stage.name)
    yield
    assert stage.client.call("CLIENT", "GETNAME") is None


@use("CLIENT SETINFO")
@use("CLIENT INFO")
def the_library_is_shown(stage):
    assert stage.call("CLIENT", "SETINFO", "LIB-NAME", "conform") == "OK"
    assert stage.call("CLIENT", "SETINFO", "lib-ver", "1.2") == "OK"
    line = stage.call("CLIENT", "INFO").decode()
    for part in (" lib-name=conform ", " lib-ver=1.2\n", f" resp={stage.protocol} "):
        assert part in line
    assert line.startswith(f"id={stage.call('CLIENT', 'ID')} ")


@use("CLIENT ID")
def ids_differ(stage):
    assert stage.call("CLIENT", "ID") < stage.connect().call("CLIENT", "ID")


@use("CLIENT LIST")
def one_line_each(stage):
    ids = {stage.call("CLIENT", "ID"), stage.connect().call("CLIENT", "ID")}
    lines = stage.call("CLIENT", "LIST").decode().splitlines()
    assert ids <= {int(line.split()[0].removeprefix("id=")) for line in lines}


@use("CLIENT KILL")
def one_by_its_id(stage):
    other = stage.connect()
    number = other.call("CLIENT", "ID")
    assert stage.call("CLIENT", "KILL", "ID", str(number)) == 1
    assert other.at_end()
    assert stage.call("CLIENT", "KILL", "ID", str(number)) == 0


wrong("CLIENT SETNAME",
      (("CLIENT", "SETNAME", "a b"), "ERR Client names cannot contain spaces"),
      ("CLIENT SETNAME", "ERR wrong number of arguments for 'client|SETNAME' command"),
      ("CLIENT RENAME x", "ERR unknown subcommand 'RENAME' of CLIENT; known: GETNAME ID"),
      ("CLIENT", arguments_of("client")))
wrong("CLIENT SETINFO", ("CLIENT SETINFO LIB-COLOR red", "ERR Unrecognized option 'LIB-COLOR'"),
      (("CLIENT", "SETINFO", "LIB-NAME", "a b"), "ERR LIB-NAME cannot contain spaces"))
for subcommand in ("GETNAME", "ID", "INFO"):
    wrong(f"CLIENT {subcommand}",
          (f"CLIENT {subcommand} x",
           f"ERR wrong number of arguments for 'client|{subcommand}' command"))
wrong("CLIENT LIST", (("CLIENT", "LIST", *"1234567"), "ERR wrong number of arguments for "
                                                      "'client|LIST' command"))
wrong("CLIENT KILL",
      ("CLIENT KILL", "ERR CLIENT KILL takes ID <client-id>"),
      ("CLIENT KILL ID x", "ERR CLIENT KILL takes ID <client-id>"),
      ("CLIENT KILL ADDR 1", "ERR CLIENT KILL takes ID <client-id>"))


@use("COMMAND")
@use("COMMAND LIST")
@use("COMMAND COUNT")
@use("COMMAND INFO")
@use("COMMAND DOCS")
def the_commands_of_this_version(stage):
    names = stage.call("COMMAND", "LIST")
    assert b"submit" in names
    assert stage.call("COMMAND", "COUNT") == len(names)
    assert [one[0] for one in stage.call("COMMAND")] == names
    known, unknown = stage.call("COMMAND", "INFO", "submit", "nosuch")
    assert (known[0], unknown) == (b"submit", None)
    docs = stage.map(stage.call("COMMAND", "DOCS", "await"))
    assert set(docs) == {"await"}
    assert {"summary", "since", "group"} <= set(stage.map(docs["await"]))


wrong("COMMAND", ("COMMAND SONGS", "ERR ... 'SONGS'"))


@use("CONFIG GET")
def what_redis_tools_ask_for(stage):
    assert stage.map(stage.call("CONFIG", "GET", "appendonly")) == {"appendonly": "yes"}
    assert set(stage.map(stage.call("CONFIG", "GET", "max*", "save"))) == {"maxclients", "save"}
    assert stage.map(stage.call("CONFIG", "GET", "nosuch")) == {}


wrong("CONFIG GET",
      ("CONFIG GET", "ERR CONFIG knows only GET <name> ..."),
      ("CONFIG SET a b", "ERR CONFIG knows only GET <name> ..."),
      ("CONFIG", arguments_of("config")))


@use("INFO")
def sections(stage):
    text = stage.call("INFO").decode()
    for line in ("# Server", "awaitd_version:", "redis_version:", "loading:0", "# Clients"):
        assert line in text
    only = stage.call("INFO", "clients").decode()
    assert only.startswith("# Clients\r\n") and "# Server" not in only
    assert stage.call("INFO", "nosuchsection") == b""


@restart("INFO")
def it_is_that_of_the_new_daemon(stage):
    before = stage.daemon.info()
    yield
    after = stage.daemon.info()
    assert after["process_id"] != before["process_id"]
    assert int(after["process_id"]) == stage.daemon.pid


wrong("INFO", ("INFO a b", arguments_of("info")))


@use("METRICS")
def prometheus_text(stage):
    stage.submit()
    lines = stage.call("METRICS").decode().splitlines()
    assert any(line.startswith("awaitd_build_info{") for line in lines)
    assert any(f'"{stage.name}"' in line for line in lines)


@restart("METRICS")
def the_gauges_are_there_again(stage):
    stage.submit()
    yield
    assert f'"{stage.name}"' in stage.call("METRICS").decode()


wrong("METRICS", ("METRICS x", arguments_of("metrics")))


@use("RESET")
def as_if_new(stage):
    stage.call("CLIENT", "SETNAME", "x")
    stage.call("MULTI")
    assert stage.call("RESET") == "RESET"
    assert stage.client.call("CLIENT", "GETNAME") is None
    assert isinstance(stage.call("HELLO"), list)
    stage.refused(["EXEC"], "ERR EXEC without MULTI")


wrong("RESET", ("RESET x", arguments_of("reset")))


@use("QUIT")
def the_end(stage):
    other = stage.connect()
    assert other.call("QUIT", "now") == "OK"
    assert other.at_end()


# --- the operator's ---------------------------------------------------------------------------


@use("BACKUP")
def a_whole_copy(stage):
    job = stage.submit()
    path = stage.daemon.folder / f"{stage.name}.db"
    assert stage.call("BACKUP", path) == "OK"
    with sqlite3.connect(path) as copy:
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    stage.refused(["BACKUP", path], f"ERR ... {stage.name}.db")
    assert stage.state(job) == "ready"


@restart("BACKUP")
def the_copy_is_there_and_holds_the_jobs(stage):
    job = stage.submit()
    path = stage.daemon.folder / f"{stage.name}.db"
    stage.call("BACKUP", path)
    stage.call("CANCEL", job)
    yield
    other = stage_module.daemon_module.Daemon(stage_module.TARGETS)
    try:
        path.rename(other.state / "queue.db")
        other.start()
        with other.connect() as client:
            assert wire.text(wire.as_map(client.call("JOB", job))["state"]) == "ready"
    finally:
        other.close()


wrong("BACKUP",
      ("BACKUP", arguments_of("backup")),
      ("BACKUP relative.db", "ERR backup: the path must be absolute"),
      ("BACKUP /nosuch/folder/x.db", "ERR ... /nosuch/folder/x.db"))


@use("RELOAD")
def nothing_changed_is_ok(stage):
    assert stage.call("RELOAD") == "OK"


@use("RELOAD")
def a_wrong_file_is_named_with_its_line(stage):
    before = stage.daemon.configuration.read_text(encoding="utf-8")
    stage.daemon.configure("[nosuch]\n" + before)
    try:
        stage.refused(["RELOAD"], "ERR ... awaitd.conf:1 ... nosuch")
    finally:
        stage.daemon.configure(before)
    assert stage.call("RELOAD") == "OK"


@restart("RELOAD")
def what_it_took_over_is_what_a_start_takes(stage):
    before = stage.daemon.configuration.read_text(encoding="utf-8")
    stage.daemon.configure(f"{before}\n[queue {stage.name}]\nconcurrency = 1\n")
    assert stage.call("RELOAD") == "OK"
    for _ in range(2):
        stage.submit()
    assert len(stage.call("RESERVE", stage.worker, "COUNT", "2")) == 1
    yield
    assert len(stage.call("RESERVE", stage.worker, "COUNT", "2")) == 1


wrong("RELOAD", ("RELOAD now", arguments_of("reload")))


def own_daemon(stage, play):
    """Of what must not happen to the shared daemon."""
    daemon = stage_module.daemon_module.Daemon(stage_module.TARGETS, settings=stage_module.SETTINGS)
    try:
        own = stage_module.Stage(daemon.start(), stage.protocol, stage.row, 0)
        play(own, daemon)
        own.close()
    finally:
        daemon.close()


def shutting_down(row, words):
    def play(own, daemon):
        job, _ = own.running()
        assert own.call(*words) == "OK"
        assert daemon.process.wait(stage_module.daemon_module.STOP_S) == 0
        daemon.start()
        own.reconnect()
        assert own.state(job) == "ready"

    @use(row)
    def it_ends_cleanly(stage):
        own_daemon(stage, play)


shutting_down("SHUTDOWN", ["SHUTDOWN"])
shutting_down("SHUTDOWN DRAIN", ["SHUTDOWN", "DRAIN", "50"])


def shutdown_in_the_middle(row, words):
    @restart(row)
    def nothing_is_lost(stage):
        def play(own, daemon):
            jobs = [own.submit() for _ in range(3)]
            own.client.send(*words)
            if stage.end == "kill":
                daemon.kill()
            else:
                assert daemon.process.wait(stage_module.daemon_module.STOP_S) == 0
            daemon.start()
            own.reconnect()
            assert [own.state(job) for job in jobs] == ["ready"] * 3

        own_daemon(stage, play)
        yield


shutdown_in_the_middle("SHUTDOWN", ["SHUTDOWN"])
shutdown_in_the_middle("SHUTDOWN DRAIN", ["SHUTDOWN", "DRAIN"])

wrong("SHUTDOWN",
      ("SHUTDOWN now", "ERR use SHUTDOWN, or SHUTDOWN DRAIN [ms]"),
      ("SHUTDOWN DRAIN 5 x", arguments_of("shutdown")))
wrong("SHUTDOWN DRAIN", ("SHUTDOWN DRAIN soon", "ERR DRAIN needs milliseconds, got 'soon'"))
