"""test_websocket.py - libawait's WebSocket (websocket_peer.c) against another implementation:
Python's websockets, as its server and as its client, with and without TLS."""

import asyncio
import contextlib
import shutil
import socket
import ssl
import subprocess

import pytest
import websockets

from harness import daemon, process

PEER = daemon.BUILD / "tests/integration/websocket_peer"
LIMIT = 4 << 20
SIZES = [0, 1, 125, 126, 127, 65535, 65536, 1000000]
HANG_S = 60


@pytest.fixture(scope="module", name="certificate")
def certificate_of(tmp_path_factory):
    """(certificate, key) for localhost and 127.0.0.1."""
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run([shutil.which("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", certificate,
                    "-days", "2", "-subj", "/CN=localhost", "-addext",
                    "subjectAltName=DNS:localhost,IP:127.0.0.1"], check=True, capture_output=True)
    return certificate, key


class Server:
    """websocket_peer serve; what it says goes to a file."""

    def __init__(self, folder, files=()):
        self.output = folder / "server.out"
        with open(self.output, "w", encoding="utf-8") as output:
            self.process = subprocess.Popen(  # pylint: disable=consider-using-with
                [str(PEER), "serve", *map(str, files)], stdout=output, stderr=subprocess.STDOUT,
                preexec_fn=process.die_with_parent)
        process.wait_until(lambda: "\n" in self.text(), HANG_S, "the server's port")
        self.port = int(self.text().split("\n", 1)[0])

    def text(self):
        return self.output.read_text(encoding="utf-8")

    def wait_for(self, line):
        process.wait_until(lambda: line in self.text(), HANG_S, f"{line} in {self.text()}")

    def stop(self):
        self.process.terminate()
        try:
            assert self.process.wait(HANG_S) == 0, self.text()
        finally:
            self.process.kill()


@pytest.fixture(name="server")
def plain_server(tmp_path):
    server = Server(tmp_path)
    yield server
    server.stop()


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, HANG_S))


def connect(server, target="/", **options):
    scheme = "wss" if "ssl" in options else "ws"
    return websockets.connect(f"{scheme}://127.0.0.1:{server.port}{target}", max_size=LIMIT,
                              **options)


async def echo_all(client, sizes=tuple(SIZES)):
    for size in sizes:
        text = ("x€y" * size)[:size]
        await client.send(text)
        assert await client.recv() == text
        await client.send(bytes(size))
        assert await client.recv() == bytes(size)
    await client.send(["in ", "fragments, ", "€", ""])
    assert await client.recv() == "in fragments, €"


async def talk(server, **options):
    async with connect(server, subprotocols=["one", "three"], compression="deflate",
                       **options) as client:
        assert client.subprotocol == "one"
        extensions = getattr(client, "extensions", None)
        if extensions is None:
            extensions = client.protocol.extensions
        assert extensions == [], "compression is declined"
        await echo_all(client)
        pong = await client.ping()
        await pong
        await client.close(4123, "bye")
        assert client.close_code == 4123


def test_python_client(server):
    run(talk(server))
    server.wait_for("/: 0  4123\n")


def test_python_client_in_tls(tmp_path, certificate):
    server = Server(tmp_path, certificate)
    try:
        run(talk(server, ssl=ssl.create_default_context(cafile=str(certificate[0]))))
        server.wait_for("/: 0  4123\n")
    finally:
        server.stop()


@pytest.mark.parametrize("target", ["/fragments", "/ping"])
def test_python_client_gets_fragments_and_pings(server, target):
    async def body():
        async with connect(server, target) as client:
            await echo_all(client, SIZES[:-1])

    run(body())
    server.wait_for(f"{target}: 0  1000\n")


def test_farewell_of_the_server(server):
    async def body():
        async with connect(server, "/end") as client:
            await client.send("now")
            with pytest.raises(websockets.exceptions.ConnectionClosed):
                await client.recv()
            assert (client.close_code, client.close_reason) == (4001, "as asked")

    run(body())


def test_refusal(server):
    async def body():
        with pytest.raises(websockets.exceptions.InvalidHandshake, match="403"):
            async with connect(server, "/refuse"):
                pass

    run(body())


def test_too_large(server):
    async def body():
        # no `async with`: websockets 15 stumbles over closing what the other side has closed
        client = await connect(server)
        with pytest.raises(websockets.exceptions.ConnectionClosed):
            await client.send(bytes(LIMIT + 1))
            await client.recv()
        assert client.close_code == 1009

    run(body())
    server.wait_for("/: -90 TOOBIG 1006\n")


def test_hundred_python_clients_at_once(server):
    async def one(number):
        async with connect(server) as client:
            for message in range(10):
                await client.send(f"{number} {message}")
            for message in range(10):
                assert await client.recv() == f"{number} {message}"

    async def body():
        await asyncio.gather(*(one(number) for number in range(100)))

    run(body())


def test_plain_http_gets_426(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=HANG_S) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := client.recv(4096):
                answer += piece
    assert answer.startswith(b"HTTP/1.1 426 Upgrade Required\r\n")


# --- the client ---------------------------------------------------------------------------------

async def call(handler, files=(), **options):
    """Runs websocket_peer call against a Python server: (exit code, output, errors)."""
    scheme = "wss" if files else "ws"
    async with websockets.serve(handler, "127.0.0.1", 0, max_size=LIMIT, **options) as server:
        port = list(server.sockets)[0].getsockname()[1]
        peer = await asyncio.create_subprocess_exec(
            str(PEER), "call", f"{scheme}://localhost:{port}/a?b=c", *map(str, files),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            out, err = await asyncio.wait_for(peer.communicate(), HANG_S)
        finally:
            if peer.returncode is None:
                peer.kill()
        return peer.returncode, out.decode(), err.decode()


async def echo(client):
    async for message in client:
        await client.send(message)


def test_python_server():
    assert run(call(echo, subprotocols=["two"])) == (0, "two 4002 done\n", "")


def test_python_server_without_subprotocol():
    assert run(call(echo, compression=None)) == (0, " 4002 done\n", "")


def test_python_server_in_tls(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*map(str, certificate))
    assert run(call(echo, files=[certificate[0]], ssl=context)) == (0, " 4002 done\n", "")


def test_python_server_that_is_not_trusted(tmp_path, certificate):
    other = tmp_path / "other.pem"
    subprocess.run([shutil.which("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes",
                    "-keyout", tmp_path / "other.key", "-out", other, "-days", "2", "-subj",
                    "/CN=localhost"], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*map(str, certificate))
    code, out, err = run(call(echo, files=[other], ssl=context))
    assert (code, out) == (1, "")
    assert err.startswith("EKEYREJECTED TLS ")


def test_python_server_that_hangs_up():
    async def hang_up(client):
        await client.recv()
        client.transport.abort()

    code, _, err = run(call(hang_up))
    assert code == 1
    assert err.startswith("ECONNRESET LOST ")
