"""test_systemd.py - readiness by sd_notify, and the listening socket taken over from systemd."""

import os
import socket

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
