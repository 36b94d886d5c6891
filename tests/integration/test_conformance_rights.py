"""test_conformance_rights.py - each command on sockets that allow one thing each: it is carried
out, or answered with NOPERM and what the socket does allow."""

import pytest

from harness import daemon as daemon_module
from harness import wire

SOCKETS = ("submit", "work", "observe", "admin")
ALL = "submit work observe admin"
# What a socket must allow for it (one of these), and a harmless use.
ALLOWED = [
    ("ACK 77 1", "work"),
    ("AUTH x", ALL),
    ("AWAIT 77", "submit observe"),
    ("BACKUP relative.db", "admin"),
    ("CANCEL 77", "admin"),
    ("CLIENT ID", ALL),
    ("CLIENT LIST", "observe admin"),
    ("CLIENT KILL ID 999999", "admin"),
    ("COMMAND COUNT", ALL),
    ("CONFIG GET save", ALL),
    ("CRON LIST", "submit observe admin"),
    ("CRON GET nosuch", "submit observe admin"),
    ("CRON SET a", "submit admin"),
    ("CRON DEL nosuch", "submit admin"),
    ("CRON RUN nosuch", "submit admin"),
    ("DELETE 77", "admin"),
    ("DISCARD", "submit"),
    ("ECHO x", ALL),
    ("ENTER nosuch", "submit"),
    ("EXEC", "submit"),
    ("EXIT", "submit"),
    ("EXTEND 77 1 5", "work"),
    ("GATHER 77", "submit observe"),
    ("HELLO", ALL),
    ("INFO", ALL),
    ("JOB 77", "submit observe"),
    ("JOBS", "observe admin"),
    ("METRICS", "observe admin"),
    ("MULTI", "submit"),
    ("NACK 77 1", "work"),
    ("PING", ALL),
    ("PROGRESS 77 1 5", "work"),
    ("PROMOTE 77", "admin"),
    ("PSUBSCRIBE x", "observe admin"),
    ("PUNSUBSCRIBE", ALL),
    ("QUEUE STATS q", "observe admin"),
    ("QUEUE PAUSE q", "admin"),
    ("QUEUE RESUME q", "admin"),
    ("QUEUE PURGE q", "admin"),
    ("QUEUES", "observe admin"),
    ("QUIT", ALL),
    ("RACE 77", "submit observe"),
    ("RELOAD", "admin"),
    ("RESERVE mail TIMEOUT 0", "work"),
    ("RESET", ALL),
    ("RETRY 77", "admin"),
    ("RUN nosuch x", "submit"),
    ("SELECT 0", ALL),
    ("SHUTDOWN wrongly", "admin"),
    ("SUBMIT mail x", "submit"),
    ("SUBSCRIBE job:77", "submit observe admin"),
    ("SUBSCRIBE queue:q", "observe admin"),
    ("TARGET STATS mail", "observe admin"),
    ("TARGET INIT mail", "admin"),
    ("TARGET PAUSE mail", "admin"),
    ("TARGET RESUME mail", "admin"),
    ("TARGETS", "observe admin"),
    ("UNSUBSCRIBE", ALL),
]


@pytest.fixture(scope="module")
def guarded():
    daemon = daemon_module.Daemon(daemon_module.target("mail", "worker"))
    text = daemon.configuration.read_text(encoding="utf-8")
    for allow in SOCKETS:
        text += f"[socket {allow}]\npath = {daemon.folder}/{allow}.sock\nallow = {allow}\n"
    daemon.configure(text)
    yield daemon.start()
    daemon.close()


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("words, allowed", ALLOWED, ids=[words for words, _ in ALLOWED])
def test_rights(guarded, words, allowed, protocol):
    for allow in SOCKETS:
        with wire.Wire(guarded.folder / f"{allow}.sock") as client:
            client.call("HELLO", str(protocol))
            reply = client.call(*words.split())
            refused = isinstance(reply, wire.Error) and reply.word == "NOPERM"
            assert refused == (allow not in allowed.split()), (allow, reply)
            if refused and not words.startswith("SUBSCRIBE"):
                assert words.split()[0] in reply and f"(allowed: {allow})" in reply


def test_every_command_is_there(guarded):
    with guarded.connect() as client:
        commands = {name.decode().upper() for name in client.call("COMMAND", "LIST")}
    assert commands - {words.split()[0] for words, _ in ALLOWED} == set()
