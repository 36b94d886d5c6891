"""test_container.py - awaitd in a container as config/docker has it: the image, the seccomp
profile, and what the daemon says where io_uring is forbidden."""

import hashlib
import json
import os
import re
import shutil

import pytest

from harness import daemon as daemon_module, process, wire
from harness.container import docker

import seccomp

PROFILE = daemon_module.TREE / "config/docker/seccomp.json"
README = daemon_module.TREE / "config/docker/README.md"


class Contained:
    """awaitd in a container of its own, beside the databases; its socket is in a folder here."""

    def __init__(self, image, folder, targets, profile):
        self.name = f"{os.environ['PROJECT']}-awaitd"
        self.socket = folder / "run" / "awaitd.sock"
        self.configuration = folder / "awaitd.conf"
        self.configuration.write_text(f"[socket main]\npath = /run/awaitd/awaitd.sock\n"
                                      f"mode = 0666\nallow = all\n{targets}", encoding="utf-8")
        self.configuration.chmod(0o644)
        for name in ("run", "state"):
            (folder / name).mkdir()
            (folder / name).chmod(0o777)
        docker("create", "--name", self.name, "--network", os.environ["PROJECT"], "--read-only",
               "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
               "--security-opt", f"seccomp={profile}",
               "--volume", f"{self.configuration}:/etc/awaitd/awaitd.conf:ro",
               "--volume", f"{os.environ['BOX']}/tls/server.crt:/etc/awaitd/authority.crt:ro",
               "--volume", f"{folder}/run:/run/awaitd",
               "--volume", f"{folder}/state:/var/lib/awaitd", image)

    def start(self):
        docker("start", self.name)
        process.wait_until(self.answers, 60, "awaitd in its container to answer")

    def answers(self):
        assert docker("inspect", "--format", "{{.State.Running}}", self.name) == "true", self.log()
        try:
            with wire.Wire(self.socket) as client:
                return client.call("PING") == "PONG"
        except (OSError, wire.Closed):
            return False

    def log(self):
        return docker("logs", self.name, both=True)

    def code(self):
        return int(docker("wait", self.name))


@pytest.fixture
def make_contained(contained):
    """make_contained(targets, profile): a container that has not started yet."""
    folder = process.temporary_folder("contained")
    made = []

    def make(targets="", profile=PROFILE):
        made.append(Contained(contained, folder, targets, profile))
        return made[-1]

    yield make
    for one in made:
        docker("rm", "--force", one.name)
    shutil.rmtree(folder)


def test_jobs_run_under_the_shipped_profile(make_contained, postgres, redis_server):
    """On every engine by its name in the containers' network, in TLS; the work of a killed daemon
    goes on in the next one."""
    main = (f"postgresql://postgres:{postgres.password}@{postgres.service}/postgres"
            "?sslmode=verify-full&sslrootcert=/etc/awaitd/authority.crt")
    cache = f"rediss://:{redis_server.password}@{redis_server.service}:6380/0"
    own = make_contained(daemon_module.target("main", "postgres", uri=main)
                         + daemon_module.target("cache", "redis", uri=cache,
                                                ca_file="/etc/awaitd/authority.crt")
                         + daemon_module.LOCAL)
    own.start()
    with wire.Wire(own.socket) as client:
        assert client.call("RUN", "main", "SELECT ssl FROM pg_stat_ssl "
                                          "WHERE pid = pg_backend_pid()") == [[b"ssl"], [b"t"]]
        assert client.call("RUN", "cache", "PING") == "PONG"
        assert client.call("RUN", "local", "SELECT 1 AS one") == [[b"one"], [b"1"]]
        jobs = [client.call("SUBMIT", "DELAY", "1", "cache", "SET", f"contained:{number}", "yes")
                for number in range(100)]
        docker("kill", own.name)
    own.start()
    with wire.Wire(own.socket) as client:
        assert client.call("GATHER", *jobs) == ["OK"] * 100
    assert len(redis_server.client().keys("contained:*")) == 100
    assert docker("exec", own.name, "awaitctl", "ping").lower() == "pong"
    docker("stop", "--time", "60", own.name)
    assert own.code() == 0, own.log()


def test_a_database_out_of_the_network_and_back(make_contained, postgres):
    """Its name is gone too; nothing is needed when it comes back."""
    uri = f"postgresql://postgres:{postgres.password}@{postgres.service}/postgres"
    own = make_contained(daemon_module.target("main", "postgres", uri=uri))
    own.start()
    with wire.Wire(own.socket) as client:
        assert client.call("RUN", "main", "SELECT 1 AS one") == [[b"one"], [b"1"]]
        with postgres.disconnected():
            jobs = [client.call("SUBMIT", "main", "SELECT 1 AS one") for _ in range(50)]
            assert client.call("AWAIT", jobs[0], "TIMEOUT", "0").word == "TIMEOUT"
        assert client.call("GATHER", *jobs) == [[[b"one"], [b"1"]]] * 50
        attempts = {int(wire.as_map(one)["attempts"])
                    for one in client.pipeline(("JOB", job) for job in jobs)}
        assert attempts == {1}


@pytest.mark.parametrize("answer, errno", [("EPERM", 1), ("ENOSYS", 38)])
def test_a_profile_without_io_uring_is_named_with_its_remedy(make_contained, tmp_path, answer,
                                                             errno):
    profile = seccomp.without_io_uring(json.loads(PROFILE.read_text(encoding="utf-8")))
    profile["syscalls"].append({"names": seccomp.IO_URING, "action": "SCMP_ACT_ERRNO",
                                "errnoRet": errno})
    path = tmp_path / "without.json"
    path.write_text(json.dumps(profile), encoding="utf-8")
    own = make_contained(profile=path)
    docker("start", own.name)
    assert own.code() == 1
    lines = own.log().splitlines()
    assert [line.partition(" ")[2] for line in lines] == [  # what follows the time
        f"error: io_uring_setup: {answer}: a seccomp filter forbids io_uring in this "
        "container; run the container with a seccomp profile that allows io_uring_setup, "
        "io_uring_enter and io_uring_register"]


def test_the_profile_is_dockers_and_three_calls():
    profile = json.loads(PROFILE.read_text(encoding="utf-8"))
    assert profile["syscalls"][-1] == seccomp.RULE
    rest = {**profile, "syscalls": profile["syscalls"][:-1]}
    assert rest == seccomp.without_io_uring(profile)
    digest = hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()
    assert re.search(r"`([0-9a-f]{64})`", README.read_text(encoding="utf-8")).group(1) == digest
