"""container.py - the databases of tests/docker in their containers: the interface of servers of the
test's own, and what only a container can suffer. suite.sh says in the environment which."""

import contextlib
import os
import pathlib
import subprocess

import psycopg2
import redis

from harness import postgres, process, redis_server

# What a command of Docker may take on a busy machine.
COMMAND_S = 120


def in_use():
    """Whether the databases of this run are in containers."""
    return "DATABASE" in os.environ


def docker(*words, both=False):
    """Runs one command of Docker's client; what it printed, on standard error too if `both`."""
    result = subprocess.run([process.need("docker"), *map(str, words)], capture_output=True,
                            text=True, timeout=COMMAND_S, check=False)
    assert result.returncode == 0, f"docker {' '.join(map(str, words))}: {result.stderr}"
    return (result.stdout + (result.stderr if both else "")).strip()


class Container:
    def __init__(self, service):
        self.service = service
        self.name = f"{os.environ['PROJECT']}-{service}"
        self.network = os.environ["PROJECT"]
        self.disk = pathlib.Path(os.environ["BOX"]) / "disks" / service
        self.password = os.environ["PASSWORD"]
        self.authority = pathlib.Path(os.environ["BOX"]) / "tls" / "server.crt"
        self.stranger = pathlib.Path(os.environ["BOX"]) / "tls" / "stranger.crt"

    def inspect(self, what):
        return docker("inspect", "--format", "{{" + what + "}}", self.name)

    @property
    def running(self):
        return self.inspect(".State.Running") == "true"

    def start(self):
        """Starts it where it does not run, and waits until it answers."""
        docker("start", self.name)
        process.wait_until(self.answers, 120, f"{self.name} to answer")

    def stop(self):
        """SIGKILL, as `docker kill` does it: every connection breaks at once."""
        docker("kill", self.name)

    def answers(self):
        raise NotImplementedError

    @contextlib.contextmanager
    def paused(self):
        docker("pause", self.name)
        try:
            yield
        finally:
            docker("unpause", self.name)
        process.wait_until(self.answers, 60, f"{self.name} to answer after its pause")

    @contextlib.contextmanager
    def disconnected(self):
        docker("network", "disconnect", self.network, self.name)
        try:
            yield
        finally:
            docker("network", "connect", "--alias", self.service, self.network, self.name)
        process.wait_until(self.answers, 60, f"{self.name} to answer in its network")

    @contextlib.contextmanager
    def slow(self):
        """Its network: late by netem where the kernel has it, else a trickle by a token bucket."""
        inside = ["nsenter", "--target", self.inspect(".State.Pid"), "--net", "tc", "qdisc"]
        device = ["dev", self.device(), "root"]
        late = subprocess.run([*inside, "add", *device, "netem", "delay", "100ms", "20ms"],
                              capture_output=True, check=False)
        if late.returncode != 0:
            subprocess.run([*inside, "add", *device, "tbf", "rate", "8kbit", "burst", "2kb",
                            "limit", "1mb"], check=True)
        try:
            yield
        finally:
            subprocess.run([*inside, "del", *device], check=True)

    def device(self):
        """The name of its network's device; it changes with each connection to the network."""
        lines = subprocess.run(["nsenter", "--target", self.inspect(".State.Pid"), "--net", "ip",
                                "-brief", "address"], capture_output=True, text=True, check=True)
        names = [line.split("@")[0] for line in lines.stdout.splitlines() if "@" in line]
        assert len(names) == 1, lines.stdout
        return names[0]

    @contextlib.contextmanager
    def full_disk(self):
        """Not a byte is left on the disk of its data."""
        ballast = self.disk / "ballast"
        try:
            with open(ballast, "wb", buffering=0) as file:
                with contextlib.suppress(OSError):
                    while True:
                        file.write(bytes(1 << 20))
                with contextlib.suppress(OSError):
                    while True:
                        file.write(bytes(512))
            yield
        finally:
            ballast.unlink()
        process.wait_until(self.answers, 120, f"{self.name} to answer once there is room")

    def close(self):
        """It belongs to the whole run: only what a test has left stopped is started again."""
        if not self.running:
            self.start()


class Postgres(Container, postgres.Access):
    def __init__(self):
        Container.__init__(self, os.environ["DATABASE"])
        postgres.Access.__init__(self, int(os.environ["DATABASE_PORT"]), self.password)
        self.socket_uri = None
        process.wait_until(self.answers, 120, f"{self.name} to answer")

    def answers(self):
        try:
            psycopg2.connect(self.uri, connect_timeout=10).close()
            return True
        except psycopg2.OperationalError:
            return False


class RedisServer(Container, redis_server.Access):
    def __init__(self):
        Container.__init__(self, os.environ["STORE"])
        redis_server.Access.__init__(self, int(os.environ["STORE_PORT"]), self.password)
        self.tls_port = int(os.environ["STORE_TLS_PORT"])
        process.wait_until(self.answers, 120, f"{self.name} to answer")

    def answers(self):
        try:
            return self.client(socket_timeout=10).ping()
        except redis.exceptions.RedisError:
            return False
