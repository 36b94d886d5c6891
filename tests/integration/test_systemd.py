"""test_systemd.py - readiness and long recoveries by sd_notify, and the listening socket taken
over from systemd."""

import contextlib
import os
import re
import socket
import sqlite3

from harness import daemon as daemon_module
from harness import process, wire


def receive_until(notifications, wanted, timeout_s=30):
    """The messages up to the one that holds `wanted`."""
    notifications.settimeout(timeout_s)
    messages = []
    while True:
        messages += notifications.recv(4096).decode().split("\n")
        if any(message.startswith(wanted) for message in messages):
            return messages


def test_ready_and_stopping(make_daemon):
    own = make_daemon()
    path = str(own.folder / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifications:
        notifications.bind(path)
        own.launch(environment={**os.environ, "NOTIFY_SOCKET": path})
        receive_until(notifications, "READY=1")
        assert own.answers(), "ready means: it answers"
        own.process.send_signal(15)
        receive_until(notifications, "STOPPING=1")
        assert own.process.wait(30) == 0


def test_socket_activation(make_daemon):
    """systemd holds the socket: a client that connects before the daemon runs is answered."""
    own = make_daemon()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(own.socket))
        listener.listen(16)
        early = wire.Wire(own.socket)
        early.send("PING")

        def hand_over():
            if listener.fileno() == 3:
                os.set_inheritable(3, True)
            else:
                os.dup2(listener.fileno(), 3)

        command = ["sh", "-c", 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"', "sh"]
        own.process = process.Process(
            [*command, daemon_module.AWAITD, "--config", own.configuration], own.log,
            limits=hand_over, keep=(3,))
        assert early.read() == "PONG"
        early.close()
        own.stop()
        assert own.socket.exists(), "the socket is systemd's, not ours to remove"


def first_schema():
    """The tables of schema version 1, as the daemon's source has them."""
    source = (daemon_module.TREE / "daemon/queue/store_schema.c").read_text(encoding="utf-8")
    body = re.search(r"version_1\[\] =\n(.*?);\n\n", source, re.S).group(1)
    return "".join(re.findall(r'"(.*)"', body)).replace("\\n", "\n")


def make_a_queue_that_takes_long_to_open(own):
    """An old queue.db: its migration reads every job once for each of many lanes."""
    own.start()
    own.stop()
    path = own.state / "queue.db"
    with contextlib.closing(sqlite3.connect(path)) as fresh:
        application, = fresh.execute("PRAGMA application_id").fetchone()
    path.unlink()
    jobs, lanes = 60000, 500
    with contextlib.closing(sqlite3.connect(path)) as old, old:
        old.executescript(first_schema())
        old.executemany("INSERT INTO lane (id, queue, target, ready) VALUES (?, ?, 'local', 0)",
                        ((lane, f"q{lane}") for lane in range(1, lanes + 1)))
        old.execute("UPDATE lane SET scheduled = ? WHERE id = 1", (jobs,))
        old.executemany("INSERT INTO job VALUES (?, 1, 0, 1024, 9000000000000, 0, 3, 0, NULL, NULL,"
                        " 0, 0, 0, 0, 0, NULL, NULL, NULL, x'010000000100000041')",
                        ((number,) for number in range(1, jobs + 1)))
        old.execute("UPDATE ceiling SET job = ?", (jobs,))
        old.execute(f"PRAGMA application_id = {application}")
        old.execute("PRAGMA user_version = 1")
    return jobs


def test_a_long_recovery_asks_for_time_and_says_what_it_does(make_daemon):
    own = make_daemon()
    jobs = make_a_queue_that_takes_long_to_open(own)
    path = str(own.folder / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifications:
        notifications.bind(path)
        own.launch(environment={**os.environ, "NOTIFY_SOCKET": path})
        messages = receive_until(notifications, "READY=1", 120)
        with own.connect() as client:
            assert f"jobs_scheduled:{jobs}" in wire.text(client.call("INFO", "jobs"))
    assert messages[0] == "STATUS=starting"
    asked = [message for message in messages if message.startswith("EXTEND_TIMEOUT_USEC=")]
    assert asked and all(int(message.split("=")[1]) >= 60000000 for message in asked), messages
    migrating = "STATUS=starting: bringing queue.db from schema version 1 to "
    assert any(message.startswith(migrating) for message in messages), messages
