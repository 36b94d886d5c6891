"""test_examples_chat.py - the chat of docs/examples: a thousand members hear each other, and one
that does not read is put out."""

import asyncio
import re
import signal
import socket
import subprocess

import pytest
import websockets

from harness import daemon, process

EXAMPLES = daemon.BUILD / "examples"
HANG_S = 120
# a million messages with AddressSanitizer take a busy machine more than a minute
CLIENTS = 200 if daemon.sanitized() else 1000


class Chat:
    """A running chat and its URI."""

    def __init__(self, folder):
        self.output = folder / "chat.out"
        with open(self.output, "w", encoding="utf-8") as file:
            self.process = subprocess.Popen(  # pylint: disable=consider-using-with
                [str(EXAMPLES / "chat"), "0"], stdout=file, stderr=subprocess.STDOUT,
                preexec_fn=process.die_with_parent)
        process.wait_until(lambda: "\n" in self.output.read_text(), HANG_S, "the chat's address")
        self.uri = re.fullmatch(r"listening on (ws://127\.0\.0\.1:\d+/)\n",
                                self.output.read_text()).group(1)

    def stop(self):
        """In order, and without a word."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(HANG_S) == 0
        assert self.output.read_text().count("\n") == 1


@pytest.fixture(name="chat")
def running_chat(tmp_path):
    chat = Chat(tmp_path)
    try:
        yield chat
        if chat.process.poll() is None:
            chat.stop()
    finally:
        chat.process.kill()
        chat.process.wait()


@pytest.fixture(name="uri")
def uri_of(chat):
    return chat.uri


def test_a_thousand_clients_hear_each_other(uri):
    done = subprocess.run([str(EXAMPLES / "chat_clients"), uri, str(CLIENTS)], capture_output=True,
                          text=True, timeout=HANG_S, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (f"{CLIENTS} of {CLIENTS} clients have heard all others: "
                           f"{CLIENTS * (CLIENTS - 1)} messages\n")


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, HANG_S))


def test_members_come_and_go(uri):
    async def body():
        async with websockets.connect(uri + "?name=anna") as anna:
            async with websockets.connect(uri + "?name=bert") as bert:
                assert await anna.recv() == "* bert has joined"
                await bert.send("hello €")
                assert await anna.recv() == "bert: hello €"
                await anna.send("hello yourself")
                assert await bert.recv() == "anna: hello yourself"
            assert await anna.recv() == "* bert has left"
        with pytest.raises(websockets.exceptions.InvalidHandshake, match="400"):
            async with websockets.connect(uri):
                pass

    run(body())


def test_who_does_not_keep_up_is_put_out(uri):
    """`slow` shakes hands and never reads; nobody else is held up by it."""
    port = int(uri.rsplit(":", 1)[1].strip("/"))

    async def body():
        async with websockets.connect(uri + "?name=anna") as anna, \
                websockets.connect(uri + "?name=bert") as bert:
            assert await anna.recv() == "* bert has joined"
            with socket.socket() as slow:
                slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                slow.connect(("127.0.0.1", port))
                slow.sendall(b"GET /?name=slow HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
                             b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                             b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
                assert await anna.recv() == "* slow has joined"
                for number in range(20000):
                    await bert.send(f"{number} " + "x" * 4000)
                    heard = await anna.recv()
                    if heard == "* slow has left":
                        break
                    assert heard.startswith(f"bert: {number} ")
                assert heard == "* slow has left"
                assert number * 4000 > 256 * 1024, "its queue was used first"

    run(body())


def test_members_are_told_of_the_end(chat):
    async def body():
        async with websockets.connect(chat.uri + "?name=anna") as anna:
            chat.process.send_signal(signal.SIGTERM)
            with pytest.raises(websockets.exceptions.ConnectionClosed):
                await anna.recv()
            assert anna.close_code == 1001

    run(body())
    assert chat.process.wait(HANG_S) == 0
