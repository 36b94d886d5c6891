"""test_authentication.py - passwords (scram-sha-256, requirepass) and certificates (verify-full,
rediss). What is wrong keeps jobs waiting, without an attempt spent, and --check names it."""

import subprocess

import pytest

from harness import daemon as daemon_module
from harness import process, wire


def tls_uri(postgres, authority, host="127.0.0.1", user="postgres"):
    return (f"postgresql://{user}@{host}:{postgres.port}/postgres?hostaddr=127.0.0.1"
            f"&sslmode=verify-full&sslrootcert={authority}&channel_binding=require")


def password_file(tmp_path, password):
    path = tmp_path / "password"
    path.write_text(password + "\n", encoding="utf-8")
    path.chmod(0o600)
    return path


def check(own):
    result = subprocess.run([daemon_module.AWAITD, "--config", own.configuration, "--check"],
                            capture_output=True, text=True, timeout=process.HANG_S, check=False)
    return result.returncode, result.stdout + result.stderr


def test_postgres_with_scram_and_verified_tls(make_daemon, postgres, tmp_path):
    own = make_daemon(daemon_module.target(
        "main", "postgres", uri=tls_uri(postgres, postgres.authority),
        password_file=password_file(tmp_path, postgres.password))).start()
    with own.connect() as client:
        job = client.call("SUBMIT", "main", "SELECT ssl FROM pg_stat_ssl "
                                            "WHERE pid = pg_backend_pid()")
        assert client.call("AWAIT", job) == [[b"ssl"], [b"t"]]
    assert postgres.value("SELECT rolpassword LIKE 'SCRAM-SHA-256$%%' FROM pg_authid "
                          "WHERE rolname = 'postgres'")
    assert postgres.password not in own.output()


def test_redis_with_a_password_and_verified_tls(make_daemon, redis_server, tmp_path):
    own = make_daemon(daemon_module.target(
        "cache", "redis", uri=f"rediss://127.0.0.1:{redis_server.tls_port}/0",
        ca_file=redis_server.authority,
        password_file=password_file(tmp_path, redis_server.password))).start()
    with own.connect() as client:
        assert client.call("AWAIT", client.call("SUBMIT", "cache", "SET", "tls", "yes")) == "OK"
    assert redis_server.client().get("tls") == b"yes"
    assert redis_server.password not in own.output()


WRONG = {
    "postgres password": ("password authentication failed", lambda pg, redis, path: {
        "uri": tls_uri(pg, pg.authority), "password_file": password_file(path, "wrong")}),
    "postgres authority": ("certificate verify failed", lambda pg, redis, path: {
        "uri": tls_uri(pg, pg.stranger), "password_file": password_file(path, pg.password)}),
    "postgres name": ("does not match host name", lambda pg, redis, path: {
        "uri": tls_uri(pg, pg.authority, "localhost"),
        "password_file": password_file(path, pg.password)}),
    "redis password": ("WRONGPASS", lambda pg, redis, path: {
        "uri": f"rediss://127.0.0.1:{redis.tls_port}/0", "ca_file": redis.authority,
        "password_file": password_file(path, "wrong")}),
    "redis authority": ("certificate", lambda pg, redis, path: {
        "uri": f"rediss://127.0.0.1:{redis.tls_port}/0", "ca_file": redis.stranger,
        "password_file": password_file(path, redis.password)}),
    "redis name": ("certificate", lambda pg, redis, path: {
        "uri": f"rediss://localhost:{redis.tls_port}/0", "ca_file": redis.authority,
        "password_file": password_file(path, redis.password)}),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_not_trusted_is_named_and_jobs_wait(make_daemon, postgres, redis_server, tmp_path,
                                                    what):
    kind = what.split()[0]
    words, keys = WRONG[what]
    own = make_daemon(daemon_module.target("engine", kind,
                                           **keys(postgres, redis_server, tmp_path)))
    code, said = check(own)
    assert code == 69 and "target engine: does not answer" in said and words in said, said
    own.start()
    with own.connect() as client:
        job = client.call("SUBMIT", "engine", *{"postgres": ["SELECT 1"],
                                                "redis": ["PING"]}[kind])
        assert client.call("RUN", "TIMEOUT", "2000", "engine", "PING").word == "UNAVAILABLE"
        assert wire.as_map(client.call("JOB", job))["attempts"] in (0, b"0")
        assert client.call("AWAIT", job, "TIMEOUT", "0").word == "TIMEOUT"
    assert words in own.output()


def test_a_password_changed_and_changed_back(make_daemon, postgres, tmp_path):
    """Sessions end, new ones are refused for a while: jobs wait, and are done without help."""
    postgres.query(f"CREATE ROLE turning LOGIN PASSWORD '{postgres.password}'")
    own = make_daemon(daemon_module.target(
        "main", "postgres", uri=tls_uri(postgres, postgres.authority, user="turning"),
        password_file=password_file(tmp_path, postgres.password))).start()
    with own.connect() as client:
        assert client.call("RUN", "main", "SELECT 1 AS one") == [[b"one"], [b"1"]]
        postgres.query("ALTER ROLE turning PASSWORD 'other'")
        postgres.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                       "WHERE usename = 'turning'")
        process.wait_until(lambda: "password authentication failed" in own.output(), 60,
                           "the daemon to be refused")
        jobs = client.pipeline(("SUBMIT", "main", "SELECT 1 AS one") for _ in range(50))
        assert client.call("AWAIT", jobs[0], "TIMEOUT", "0").word == "TIMEOUT"
        postgres.query(f"ALTER ROLE turning PASSWORD '{postgres.password}'")
        assert client.call("GATHER", *jobs) == [[[b"one"], [b"1"]]] * 50
        for job in client.pipeline(("JOB", one) for one in jobs):
            assert int(wire.as_map(job)["attempts"]) == 1
    own.stop()
    postgres.query("DROP ROLE turning")
