"""test_3_targets.py - jobs of every type of target out of the sandbox; secrets as credentials."""

import http.server
import pathlib
import subprocess
import threading

import box
import pytest
import wire

PASSWORD = "correct horse battery staple"


class Hook(http.server.BaseHTTPRequestHandler):
    seen = []

    def do_POST(self):  # the name is http.server's
        size = int(self.headers.get("Content-Length", 0))
        Hook.seen.append((self.path, self.headers.get("Authorization"), self.rfile.read(size)))
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"taken")

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module", autouse=True)
def engines():
    """PostgreSQL with peer authentication, Redis with a password, an HTTP server."""
    box.run("pg_createcluster", "--start", "15", "awaitd_test")
    box.run("runuser", "-u", "postgres", "--", "createuser", "awaitd")
    box.run("runuser", "-u", "postgres", "--", "createdb", "-O", "awaitd", "app")
    pathlib.Path("/etc/redis/redis.conf").open("a", encoding="utf-8").write(
        f'\nrequirepass "{PASSWORD}"\n')
    box.run("systemctl", "start", "redis-server")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    secret = pathlib.Path("/etc/awaitd/cache.password")
    secret.write_text(PASSWORD + "\n", encoding="utf-8")
    secret.chmod(0o600)  # root's alone: the daemon cannot read the file itself
    targets = box.configure("targets", f"""[target main]
type = postgres
uri = postgresql:///app
[target cache]
type = redis
uri = redis://127.0.0.1:6379/0
credential = cache-password
[target hook]
type = http
uri = http://127.0.0.1:{server.server_port}
credential = cache-password
[target mail]
type = worker
""")
    credential = box.drop_in("secret", "LoadCredential=cache-password:/etc/awaitd/cache.password")
    box.run("systemctl", "restart", "awaitd")
    yield
    targets.unlink()
    secret.unlink()
    box.remove(credential)
    box.run("systemctl", "restart", "awaitd")
    server.shutdown()
    box.run("systemctl", "stop", "redis-server")
    box.run("pg_dropcluster", "--stop", "15", "awaitd_test")


def submit_and_await(*job):
    identifier = box.call("SUBMIT", *job)
    assert isinstance(identifier, bytes), identifier
    reply = box.call("AWAIT", identifier)
    assert not isinstance(reply, wire.Error), reply
    return reply


def test_sqlite():
    submit_and_await("local", "CREATE TABLE sandbox (x)")
    submit_and_await("local", "INSERT INTO sandbox VALUES (7)")
    assert box.run("awaitctl", "run", "local", "SELECT x FROM sandbox").split() == ["7"]


def test_postgres_knows_the_daemon_by_its_user():
    assert box.run("awaitctl", "run", "main", "SELECT current_user") == "awaitd"
    submit_and_await("main", "CREATE TABLE sandbox (x int)")
    submit_and_await("main", "INSERT INTO sandbox VALUES ($1)", "7")
    assert "7" in box.run("runuser", "-u", "postgres", "--", "psql", "-tA", "app", "-c",
                          "SELECT x FROM sandbox")


def test_redis_with_the_password_of_a_credential():
    submit_and_await("cache", "SET", "sandbox", "7")
    assert box.run("redis-cli", "--no-auth-warning", "-a", PASSWORD, "GET", "sandbox") == "7"


def test_http_with_a_token_of_a_credential():
    submit_and_await("hook", "POST", "/orders", "BODY", "seven")
    assert Hook.seen[-1] == ("/orders", f"Bearer {PASSWORD}", b"seven")


def test_worker():
    with subprocess.Popen(["awaitctl", "worker", "mail", "--", "echo", "sent to"]) as worker:
        try:
            assert box.run("awaitctl", "submit", "--wait", "mail", "ann") == "sent to ann"
        finally:
            worker.terminate()


def test_all_of_them_when_only_this_host_may_be_reached():
    narrow = box.drop_in("narrow", "IPAddressDeny=any\nIPAddressAllow=localhost")
    box.run("systemctl", "restart", "awaitd")
    report = box.run("systemd-analyze", "security", "--no-pager", "--threshold=11",
                     "awaitd.service")
    print(report.splitlines()[-1])
    assert submit_and_await("local", "SELECT 7") == [[b"7"], [b"7"]]
    assert submit_and_await("main", "SELECT 7 AS seven") == [[b"seven"], [b"7"]]
    assert submit_and_await("cache", "SET", "narrow", "7") == "OK"
    test_http_with_a_token_of_a_credential()
    test_worker()
    box.remove(narrow)
    box.run("systemctl", "restart", "awaitd")


def test_the_secret_is_nowhere_else():
    assert PASSWORD not in box.journal_text()
    assert PASSWORD not in wire.text(box.call("INFO"))
    pid = box.main_pid()
    for name in ("environ", "cmdline"):
        assert PASSWORD.encode() not in pathlib.Path(f"/proc/{pid}/{name}").read_bytes()
