"""test_http_target.py - jobs that are HTTP requests: what goes out, what comes back, what each
status means, and servers that are slow, gone or wrong."""

import http.server
import re
import subprocess
import threading
import time

import pytest

from harness import daemon as daemon_module
from harness import http_server, process, wire

QUICK = "[queue default]\nbackoff_min = 1ms\nbackoff_max = 5ms\n"


@pytest.fixture
def server():
    one = http_server.HttpServer()
    yield one
    one.close()


@pytest.fixture
def make_hook(make_daemon, server):
    """A daemon with the target `hook` on the server; keys override or add settings."""

    def make(extra=QUICK, **keys):
        settings = {"uri": server.uri, **keys}
        return make_daemon(daemon_module.target("hook", "http", **settings), extra)

    return make


@pytest.fixture
def hook(make_hook):
    return make_hook().start()


@pytest.fixture
def client(hook):
    with hook.connect() as connection:
        yield connection


def fields(client, job):
    return wire.as_map(client.call("JOB", job))


def submit(client, *arguments):
    job = client.call("SUBMIT", *arguments)
    assert not isinstance(job, wire.Error), job
    return job


def wait_seen(server, path, count=1):
    process.wait_until(lambda: len(server.seen(path)) >= count, 60, f"{count} requests for {path}")


# --- what goes out and comes back ----------------------------------------------------------------

@pytest.mark.parametrize("verb", ["SUBMIT", "RUN"])
def test_request_and_result(client, server, verb):
    reply = client.call(verb, "hook", "post", "/echo", "X-Own: yes", "BODY", b"a\0b")
    status, headers, body = client.call("AWAIT", reply) if verb == "SUBMIT" else reply
    assert status == 200 and body == b"a\0b"
    headers = wire.as_map(headers)
    assert wire.text(headers["x-seen"]) == "one" and wire.text(headers["set-cookie"]) == "a=1"
    method, _, sent, got, _ = server.seen("/echo")[0]
    assert (method, got, sent["X-Own"]) == ("POST", b"a\0b", "yes")
    assert sent["User-Agent"].startswith("awaitd/")
    key = sent.get("Idempotency-Key")
    assert key == (wire.text(reply) if verb == "SUBMIT" else None)


def test_headers_are_a_map_in_resp3(hook):
    with hook.connect() as client:
        client.call("HELLO", "3")
        status, headers, body = client.call("RUN", "hook", "GET", "/echo")
        assert status == 200 and wire.as_map(headers)["x-seen"] == b"one" and body == b""


def test_methods(client, server):
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"):
        assert client.call("RUN", "hook", method, f"{server.uri}/echo?{method}")[0] == 200
        assert server.seen(f"/echo?{method}")[0][0] == method


def test_the_users_own_idempotency_key_counts(client, server):
    job = submit(client, "hook", "POST", "/echo", "idempotency-key: mine")
    assert client.call("AWAIT", job)[0] == 200
    assert server.seen("/echo")[0][2]["idempotency-key"] == "mine"
    assert "Idempotency-Key" not in server.seen("/echo")[0][2]


def test_configured_headers_and_token(make_hook, server, tmp_path):
    secret = tmp_path / "token"
    secret.write_text("s3cret\n")
    secret.chmod(0o600)
    other = http_server.HttpServer()
    try:
        one = make_hook(headers="X-All: a, b | Accept: text/plain", password_file=secret,
                        hosts=f"127.0.0.1:{other.port}").start()
        with one.connect() as client:
            assert client.call("RUN", "hook", "GET", "/echo", "accept: own")[0] == 200
            assert client.call("RUN", "hook", "GET", f"{other.uri}/echo")[0] == 200
            assert client.call("RUN", "hook", "GET", f"/to?{other.uri}/status/200")[0] == 200
        sent = server.seen("/echo")[0][2]
        assert sent["X-All"] == "a, b" and sent["accept"] == "own" and "Accept" not in sent
        assert sent["Authorization"] == "Bearer s3cret"
        assert "Authorization" not in other.seen("/echo")[0][2]
        assert "Authorization" not in other.seen("/status/200")[0][2]
        assert "s3cret" not in one.output()
    finally:
        other.close()


@pytest.mark.parametrize("arguments, says", [
    (["GET"], "needs <method> <url>"),
    (["GET", "/echo", "nonsense"], "is no header"),
    (["GET", "/echo", "X-A: 1\r\nX-B: 2"], "line break"),
    (["GET", "/echo", "Content-Length: 3"], "follows from the body"),
    (["POST", "/echo", "BODY"], "BODY needs one argument"),
    (["POST", "/echo", "BODY", "a", "b"], "BODY needs one argument"),
    (["HEAD", "/echo", "BODY", "a"], "has no body"),
    (["GET /", "/echo"], "no method"),
    (["GET", "ftp://127.0.0.1/"], "http://"),
    (["GET", "http://elsewhere.example/"], "may not call"),
    (["GET", "http://127.0.0.1:1/"], "may not call"),
])
def test_wrong_arguments_are_refused_at_once(client, arguments, says):
    for verb in ("SUBMIT", "RUN"):
        reply = client.call(verb, "hook", *arguments)
        assert isinstance(reply, wire.Error) and reply.word == "ERR" and says in reply, reply
    assert client.call("PING") == "PONG"


# --- statuses -------------------------------------------------------------------------------------

@pytest.mark.parametrize("status", [200, 201, 204, 299, 300, 304])
def test_success(client, status):
    assert client.call("RUN", "hook", "GET", f"/status/{status}")[0] == status


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 422])
def test_other_4xx_is_dead_at_once(client, server, status):
    job = submit(client, "RETRY", "5", "hook", "GET", f"/status/{status}?token=secret")
    reply = client.call("AWAIT", job)
    assert reply.startswith(f"FAILED {status} ") and "because" in reply and "secret" not in reply
    seen = fields(client, job)
    assert wire.text(seen["state"]) == "dead" and int(seen["attempts"]) == 1
    assert len(server.seen(f"/status/{status}?token=secret")) == 1
    assert client.call("RUN", "hook", "GET", f"/status/{status}").startswith(f"FAILED {status} ")


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_passing_statuses_are_tried_again(client, server, status):
    job = submit(client, "hook", "POST", f"/first/{status}/a", "BODY", "x")
    assert client.call("AWAIT", job)[2] == b"at last"
    assert int(fields(client, job)["attempts"]) == 2
    keys = [request[2]["Idempotency-Key"] for request in server.seen(f"/first/{status}/a")]
    assert keys == [wire.text(job)] * 2


def test_attempts_end(client, server):
    job = submit(client, "RETRY", "2", "hook", "GET", "/status/503")
    assert client.call("AWAIT", job).startswith("FAILED 503 Service Unavailable: GET http://")
    assert len(server.seen("/status/503")) == 3
    assert client.call("RUN", "hook", "GET", "/status/503").startswith("FAILED 503 ")
    assert len(server.seen("/status/503")) == 4  # RUN tries once


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_the_delay(client, server, form):
    job = submit(client, "hook", "GET", f"/later/{form}/a")
    assert client.call("AWAIT", job)[2] == b"patient"
    first, second = server.seen(f"/later/{form}/a")
    assert second[4] - first[4] >= 0.9  # its own backoff is 5 ms at most
    assert int(fields(client, job)["attempts"]) == 2


def test_retry_after_is_cut(make_hook, server):
    one = make_hook(retry_after_max="1s").start()
    with one.connect() as client:
        job = submit(client, "hook", "GET", "/later/date/b")
        assert client.call("AWAIT", job)[2] == b"patient"


# --- redirects and limits ------------------------------------------------------------------------

def test_redirects_are_followed_and_bounded(client, server):
    assert client.call("RUN", "hook", "GET", "/redirect/5")[2] == b"home"
    job = submit(client, "hook", "GET", "/redirect/6")
    assert client.call("AWAIT", job).startswith("FAILED REDIRECTS ")
    assert len(server.seen("/redirect/6")) == 1
    reply = client.call("RUN", "hook", "GET", "/to?http://127.0.0.1:1/")
    assert reply.startswith("FAILED REFUSED ")


def test_redirects_can_be_off(make_hook):
    with make_hook(redirects=0).start().connect() as client:
        assert client.call("RUN", "hook", "GET", "/redirect/5")[0] == 302


def test_response_too_large(make_hook, server):
    with make_hook(response_size_max="64K").start().connect() as client:
        assert len(client.call("RUN", "hook", "GET", "/big/65536")[2]) == 65536
        job = submit(client, "hook", "GET", "/big/65537")
        assert client.call("AWAIT", job).startswith("FAILED RESULTTOOBIG ")
        assert len(server.seen("/big/65537")) == 1


# --- servers that are gone, slow or wrong --------------------------------------------------------

def test_base_that_is_down_spends_no_attempts(hook, client, server):
    assert client.call("RUN", "hook", "GET", "/echo")[0] == 200
    server.stop()
    jobs = [submit(client, "RETRY", "0", "hook", "GET", f"/echo?{i}") for i in range(50)]
    process.wait_until(lambda: "target hook: down" in hook.output(), 60, "the target to go down")
    assert client.call("RUN", "TIMEOUT", "3600000", "hook", "GET", "/echo").word == "UNAVAILABLE"
    assert {int(fields(client, job)["attempts"]) for job in jobs} == {0}
    server.start()
    assert [reply[0] for reply in client.call("GATHER", *jobs)] == [200] * 50
    assert hook.output().count("target hook: up") >= 1


def test_base_that_was_never_there(make_hook, server):
    port = process.free_port()
    one = make_hook(uri=f"http://127.0.0.1:{port}").start()
    with one.connect() as client:
        job = submit(client, "RETRY", "0", "hook", "GET", "/echo")
        assert client.call("AWAIT", job, "TIMEOUT", "200").word == "TIMEOUT"
        assert client.call("CANCEL", job) == 1
        assert client.call("AWAIT", job).word == "CANCELLED"


def test_one_of_many_hosts_down_spends_attempts(make_hook, server):
    port = process.free_port()
    one = make_hook(hosts=f"127.0.0.1:{port}").start()
    with one.connect() as client:
        job = submit(client, "RETRY", "2", "hook", "GET", f"http://127.0.0.1:{port}/")
        assert client.call("AWAIT", job).startswith("FAILED CONNECT ")
        assert int(fields(client, job)["attempts"]) == 3
        assert client.call("RUN", "hook", "GET", "/echo")[0] == 200
        assert "target hook: down" not in one.output()


def test_cut_off_response_runs_again(client, server):
    job = submit(client, "RETRY", "0", "hook", "GET", "/cut/a")
    assert client.call("AWAIT", job)[2] == b"whole"
    assert client.call("RUN", "hook", "GET", "/cut/b").word in ("FAILED", "UNAVAILABLE")


def test_timeout(client, server):
    job = submit(client, "TIMEOUT", "300", "RETRY", "1", "hook", "GET", "/gate/a")
    assert client.call("AWAIT", job).startswith("FAILED TIMEOUT ")
    assert int(fields(client, job)["attempts"]) == 2
    assert client.call("RUN", "TIMEOUT", "100", "hook", "GET", "/gate/a").word == "TIMEOUT"
    assert len(server.seen("/gate/a")) <= 3


def test_request_timeout_of_the_target(make_hook, server):
    with make_hook(request_timeout="200ms").start().connect() as client:
        job = submit(client, "RETRY", "1", "hook", "GET", "/gate/a")
        assert client.call("AWAIT", job).startswith("FAILED TIMEOUT ")
        assert int(fields(client, job)["attempts"]) == 2


def test_cancel_of_a_running_job(client, server):
    job = submit(client, "hook", "GET", "/gate/a")
    wait_seen(server, "/gate/a")
    assert client.call("CANCEL", job) == 1
    assert client.call("AWAIT", job).word == "CANCELLED"
    assert client.call("RUN", "hook", "GET", "/echo")[0] == 200


def test_at_most_once(make_hook, server):
    one = make_hook(delivery="at-most-once").start()
    with one.connect() as client:
        states = {}
        for path in ("/status/500", "/status/404", "/first/503/a", "/cut/a"):
            job = submit(client, "hook", "POST", path)
            client.call("AWAIT", job)
            states[path] = wire.text(fields(client, job)["state"])
        job = submit(client, "TIMEOUT", "2000", "hook", "POST", "/gate/a")
        client.call("AWAIT", job)
        states["/gate/a"] = wire.text(fields(client, job)["state"])
        assert states == {"/status/500": "uncertain", "/status/404": "dead", "/first/503/a": "done",
                          "/cut/a": "uncertain", "/gate/a": "uncertain"}
        assert len(server.seen("/gate/a")) == 1


def test_restart_in_the_middle(hook, client, server):
    jobs = [submit(client, "hook", "POST", f"/gate/{i}", "BODY", str(i)) for i in range(3)]
    later = [submit(client, "DELAY", "3600000", "hook", "POST", "/echo", "BODY", str(i))
             for i in range(3)]
    for i in range(3):
        wait_seen(server, f"/gate/{i}")
    hook.kill()
    server.gate.set()
    hook.start()
    with hook.connect() as again:
        assert [reply[2] for reply in again.call("GATHER", *jobs)] == [b"open"] * 3
        assert again.call("PROMOTE", *later) == 3
        assert [reply[2] for reply in again.call("GATHER", *later)] == [b"0", b"1", b"2"]
    for i, job in enumerate(jobs):  # run again under the same key
        assert {request[2]["Idempotency-Key"] for request in server.seen(f"/gate/{i}")} == \
            {wire.text(job)}


def test_connections_bound_what_runs_at_once(make_hook, server):
    with make_hook(connections=3).start().connect() as client:
        jobs = client.pipeline(("SUBMIT", "hook", "GET", f"/gate/{i}") for i in range(20))
        process.wait_until(lambda: len(server.requests) >= 3, 60, "three requests")
        assert client.call("PING") == "PONG"
        time.sleep(0.1)
        assert len(server.requests) == 3
        server.gate.set()
        assert [reply[0] for reply in client.call("GATHER", *jobs)] == [200] * 20


# --- TLS -----------------------------------------------------------------------------------------

def test_certificates_are_verified(make_daemon, tmp_path):
    certificate = http_server.make_certificate(tmp_path)
    secure = http_server.HttpServer(certificate=certificate)
    try:
        one = make_daemon(
            daemon_module.target("good", "http", uri=secure.uri, ca_file=certificate[0])
            + daemon_module.target("bad", "http", uri=secure.uri), QUICK).start()
        with one.connect() as client:
            assert client.call("RUN", "good", "GET", "/echo")[0] == 200
            reply = client.call("RUN", "bad", "GET", "/echo")
            assert reply.word == "UNAVAILABLE" and "certificate" in reply, reply
            assert len(secure.seen("/echo")) == 1
    finally:
        secure.close()


# --- the library's example -----------------------------------------------------------------------

class Meeting(http.server.BaseHTTPRequestHandler):
    """The first request of a page is answered at once; the second only when all three are there."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        owner = self.server
        with owner.lock:
            owner.running += 1
            second = self.path in owner.seen
            owner.seen.append(self.path)
        if second:
            owner.barrier.wait()
        with owner.lock:
            owner.running -= 1
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"page\n")


def test_example_downloads_in_turn_and_at_once():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Meeting) as listener:
        listener.lock, listener.running, listener.seen = threading.Lock(), 0, []
        listener.barrier = threading.Barrier(3, timeout=120)
        threading.Thread(target=listener.serve_forever, args=(0.02,), daemon=True).start()
        base = f"http://127.0.0.1:{listener.server_address[1]}"
        done = subprocess.run([daemon_module.BUILD / "examples/http_downloads",
                               *(f"{base}/{page}" for page in "abc")],
                              capture_output=True, text=True, timeout=150, check=False)
        listener.shutdown()
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:3] == [f"{base}/{page}: 200, 5 bytes" for page in "abc"]
    assert sorted(lines[3:6]) == lines[:3]
    assert re.fullmatch(r"in turn: \d+\.\d\d s, at once: \d+\.\d\d s", lines[6])
    assert listener.seen[:3] == ["/a", "/b", "/c"]


def test_example_says_what_failed():
    port = process.free_port()
    done = subprocess.run([daemon_module.BUILD / "examples/http_downloads",
                           *[f"http://127.0.0.1:{port}/"] * 3],
                          capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 1 and "Connection refused" in done.stderr
