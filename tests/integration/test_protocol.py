"""test_protocol.py - RESP2, RESP3 and inline commands: bytes in, bytes out."""

import subprocess

import pytest

from harness import process, wire


def test_small_commands_that_clients_send_by_themselves(local):
    with local.connect() as client:
        assert client.call("PING") == "PONG"
        assert client.call("PING", "hello") == b"hello"
        assert client.call("ECHO", b"\x00\xff") == b"\x00\xff"
        assert client.call("SELECT", "0") == "OK"
        assert client.call("RESET") == "RESET"
        assert client.call("CLIENT", "SETNAME", "tester") == "OK"
        assert client.call("CLIENT", "GETNAME") == b"tester"
        assert isinstance(client.call("CLIENT", "ID"), int)
        assert client.call("CLIENT", "SETINFO", "LIB-NAME", "tests") == "OK"
        assert isinstance(client.call("COMMAND"), list)
        assert not isinstance(client.call("CONFIG", "GET", "save"), wire.Error)
        assert isinstance(client.call("SELECT", "1"), wire.Error)
        assert client.call("QUIT") == "OK"
        assert client.at_end()


def test_names_are_case_insensitive(local):
    with local.connect() as client:
        assert client.call("ping") == "PONG"
        assert client.call("pInG") == "PONG"
        job = client.call("submit", "delay", "0", "local", "SELECT 1 AS one")
        assert client.call("aWait", job) == [[b"one"], [b"1"]]


def test_info_looks_like_redis(local):
    info = local.info()
    assert info["loading"] == "0"


def test_hello_3_switches_to_maps_and_nulls(local):
    with local.connect() as client:
        assert isinstance(client.call("HELLO"), list)
        hello = client.call("HELLO", "3")
        assert isinstance(hello, dict)
        assert hello["proto"] == 3
        job = client.call("SUBMIT", "local", "SELECT NULL AS empty")
        assert client.call("AWAIT", job) == [[b"empty"], [None]]
        assert isinstance(client.call("JOB", job), dict)
        assert isinstance(client.call("HELLO", "2"), list)
        assert isinstance(client.call("JOB", job), list)


def test_hello_with_an_unknown_version_keeps_the_old_one(local):
    with local.connect() as client:
        assert client.call("HELLO", "9").word == "NOPROTO"
        assert isinstance(client.call("HELLO"), list)


def test_hello_with_name(local):
    with local.connect() as client:
        assert isinstance(client.call("HELLO", "3", "SETNAME", "me"), dict)
        assert client.call("CLIENT", "GETNAME") == b"me"


def test_inline_commands(local):
    with local.connect() as client:
        client.send_raw(b"PING\r\n\r\nPING\necho \"a b\\x00\"\r\n")
        assert client.read() == "PONG"
        assert client.read() == "PONG"
        assert client.read() == b"a b\x00"


def test_half_closing_client_gets_every_answer(local):
    """What `printf ... | nc -N -U` does: the end of the input is not the end of the answers."""
    script = b"PING\r\nRUN local \"SELECT sleep(300)\"\r\nPING last\r\n"
    result = subprocess.run([process.need("nc"), "-N", "-U", str(local.socket)], input=script,
                            capture_output=True, timeout=60, check=False)
    assert result.stdout.startswith(b"+PONG\r\n*2\r\n")
    assert result.stdout.endswith(b"$4\r\nlast\r\n")


def test_frame_cut_at_every_byte(local):
    frame = wire.encode("ECHO", b"a\r\nb")
    with local.connect() as client:
        for cut in range(1, len(frame)):
            client.send_raw(frame[:cut])
            assert local.answers()  # a round trip elsewhere: the daemon has seen the first part
            client.send_raw(frame[cut:])
            assert client.read() == b"a\r\nb"


def test_pipeline_of_10000(local):
    with local.connect() as client:
        replies = client.pipeline(("ECHO", str(number)) for number in range(10000))
        assert replies == [str(number).encode() for number in range(10000)]


def test_pipeline_keeps_the_order_when_commands_wait(local):
    with local.connect() as client:
        replies = client.pipeline([("RUN", "local", "SELECT sleep(200)"), ("ECHO", "second"),
                                   ("RUN", "local", "SELECT 3"), ("PING",)])
        assert isinstance(replies[0], list)
        assert replies[1] == b"second"
        assert replies[2][1] == [b"3"]
        assert replies[3] == "PONG"


def test_pipeline_of_10000_submissions(local):
    with local.connect() as client:
        jobs = client.pipeline(("SUBMIT", "DELAY", "3600000", "local", "SELECT 1")
                               for _ in range(10000))
        numbers = [int(job) for job in jobs]
        assert len(set(numbers)) == 10000
        assert numbers == sorted(numbers), "ids are ordered by time"


MALFORMED = {
    "count beyond every limit": b"*99999999999\r\n",
    "count that is no number": b"*abc\r\n",
    "bulk of 1 GiB": b"*2\r\n$4\r\nECHO\r\n$1073741824\r\n",
    "bulk of negative size": b"*1\r\n$-5\r\n",
    "bulk size that overflows": b"*1\r\n$99999999999999999999999\r\n",
    "bulk size that is no number": b"*1\r\n$x\r\n",
    "integer where a bulk belongs": b"*1\r\n:5\r\n",
    "bulk without its line end": b"*1\r\n$4\r\nPINGxxPING\r\n",
    "inline line without an end": b"x" * 200000,
    "inline with an open quote": b'ECHO "abc\r\n',
    "header line without an end": b"*" + b"1" * 100000,
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_frame_gets_an_error_and_the_end(local, name):
    with local.connect() as client:
        try:
            client.send_raw(MALFORMED[name])
        except (BrokenPipeError, ConnectionResetError):
            pass  # the answer may come, and the end with it, before all of it was taken
        reply = client.read()
        assert reply.startswith("ERR Protocol error: "), reply
        assert client.at_end()
    assert local.answers()


def test_commands_before_a_malformed_frame_are_answered(local):
    with local.connect() as client:
        client.send_raw(wire.encode("PING") + b"*1\r\n$-5\r\n")
        assert client.read() == "PONG"
        assert client.read().startswith("ERR Protocol error: ")
        assert client.at_end()


def test_empty_and_null_arrays_are_ignored(local):
    with local.connect() as client:
        client.send_raw(b"*0\r\n*-1\r\n*-5\r\n" + wire.encode("PING"))
        assert client.read() == "PONG"


def test_client_that_goes_away_in_the_middle_of_a_frame(local):
    for _ in range(50):
        client = local.connect()
        client.send_raw(b"*3\r\n$6\r\nSUBMIT\r\n$5\r\nlo")
        client.close()
    assert local.answers()


BAD_COMMANDS = [
    (("NOSUCH",), "ERR"),
    (("NOSUCH", b"\r\n\x00\xff", "x" * 5000), "ERR"),
    (("",), "ERR"),
    (("SUBMIT",), "ERR"),
    (("SUBMIT", "DELAY"), "ERR"),
    (("SUBMIT", "DELAY", "10"), "ERR"),
    (("SUBMIT", "nosuch", "SELECT 1"), "NOTARGET"),
    (("RUN", "nosuch", "SELECT 1"), "NOTARGET"),
    (("SUBMIT", "local"), "ERR"),
    (("RUN", "local"), "ERR"),
    (("RUN",), "ERR"),
    (("SUBMIT", "DELAY", "soon", "local", "SELECT 1"), "ERR"),
    (("SUBMIT", "DELAY", "-1", "local", "SELECT 1"), "ERR"),
    (("SUBMIT", "DELAY", "99999999999999999999", "local", "SELECT 1"), "ERR"),
    (("SUBMIT", "PRIORITY", "4294967296", "local", "SELECT 1"), "ERR"),
    (("SUBMIT", "RETRY", "x", "local", "SELECT 1"), "ERR"),
    (("SUBMIT", "BACKOFF", "10", "local", "SELECT 1"), "ERR"),
    (("SUBMIT", "KEEP", "1.5", "local", "SELECT 1"), "ERR"),
    (("SUBMIT", "TIMEOUT", "", "local", "SELECT 1"), "ERR"),
    (("SUBMIT", "QUEUE", "9bad", "local", "SELECT 1"), "ERR"),
    (("SUBMIT", "FORMAT", "xml", "local", "SELECT 1"), "ERR"),
    (("RUN", "DELAY", "10", "local", "SELECT 1"), "ERR"),
    (("AWAIT",), "ERR"),
    (("AWAIT", "abc"), "ERR"),
    (("AWAIT", "1", "TIMEOUT"), "ERR"),
    (("AWAIT", "1", "TIMEOUT", "x"), "ERR"),
    (("AWAIT", "12345"), "NOJOB"),
    (("JOB", "12345"), "NOJOB"),
    (("JOB",), "ERR"),
    (("GATHER",), "ERR"),
    (("RACE",), "ERR"),
    (("CANCEL",), "ERR"),
    (("JOBS", "STATE", "nosuch"), "ERR"),
    (("JOBS", "LIMIT", "x"), "ERR"),
]


@pytest.mark.parametrize(("command", "word"), BAD_COMMANDS, ids=lambda value: repr(value)[:60])
def test_bad_command_gets_its_word_and_the_connection_lives(local, command, word):
    with local.connect() as client:
        reply = client.call(*command)
        assert isinstance(reply, wire.Error), reply
        assert reply.word == word, reply
        assert "\r" not in reply and "\n" not in reply
        assert client.call("PING") == "PONG"
