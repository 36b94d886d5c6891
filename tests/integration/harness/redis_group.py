"""redis_group.py - several Redis servers that belong together: a master with a replica and
sentinels, or a cluster."""

import subprocess

import redis

from harness import process, redis_server

FAILURE_MS = 500  # a server that says nothing for so long is replaced
AT_ONCE = ("--repl-diskless-sync-delay", "0")


class Sentinels:
    """A master `mymaster`, one replica, and three sentinels; all want a password."""

    PASSWORD = "open sesame"
    COUNT = 3

    def __init__(self):
        account = (*AT_ONCE, "--requirepass", self.PASSWORD, "--masterauth", self.PASSWORD)
        self.servers = []
        self.sentinels = []
        first = self.serve(*account)
        self.serve(*account, "--replicaof", f"127.0.0.1 {first.port}")
        process.wait_until(self.linked, 60, "the replica to follow the master")
        for _ in range(self.COUNT):
            self.sentinels.append(self.watch())
        process.wait_until(self.acquainted, 60, "the sentinels to know each other")
        hosts = ",".join(f"127.0.0.1:{one.port}" for one in self.sentinels)
        self.uri = f"redis+sentinel://:open%20sesame@{hosts}/mymaster/0"

    def serve(self, *options):
        self.servers.append(redis_server.RedisServer(*options, password=self.PASSWORD))
        return self.servers[-1]

    def watch(self):
        configuration = process.temporary_folder("sentinel") / "sentinel.conf"
        configuration.write_text(
            f"sentinel monitor mymaster 127.0.0.1 {self.servers[0].port} 2\n"
            f"sentinel auth-pass mymaster \"{self.PASSWORD}\"\n"
            f"sentinel down-after-milliseconds mymaster {FAILURE_MS}\n"
            "sentinel failover-timeout mymaster 3000\n", encoding="utf-8")
        return redis_server.RedisServer(configuration=configuration, sentinel=True)

    def master(self):
        return self.of_role("master")

    def replica(self):
        return self.of_role("slave")

    def of_role(self, role):
        found = [one for one in self.servers if one.client().info("replication")["role"] == role]
        return found[0] if len(found) == 1 else None

    def linked(self):
        replica = self.replica()
        return replica and replica.client().info("replication")["master_link_status"] == "up"

    def acquainted(self):
        states = [one.client().sentinel_masters()["mymaster"] for one in self.sentinels]
        return all(state["num-other-sentinels"] == self.COUNT - 1 and state["num-slaves"] == 1
                   for state in states)

    def close(self):
        for one in (*self.sentinels, *self.servers):
            one.close()


class Cluster:
    """Three masters, each with a replica."""

    MASTERS = 3

    def __init__(self, replicas=1):
        self.servers = []
        for _ in range(self.MASTERS * (1 + replicas)):
            self.servers.append(redis_server.RedisServer(
                *AT_ONCE, "--cluster-enabled", "yes", "--cluster-port", str(process.free_port()),
                "--cluster-node-timeout", str(FAILURE_MS), "--cluster-config-file", "nodes.conf"))
        addresses = [f"127.0.0.1:{one.port}" for one in self.servers]
        self.manage("create", *addresses, "--cluster-replicas", replicas)
        process.wait_until(self.whole, 60, "the cluster to be whole")
        self.uri = f"redis+cluster://{','.join(addresses[:2])}/"

    @staticmethod
    def manage(verb, *words):
        done = subprocess.run([process.need("redis-cli"), "--cluster", verb, *map(str, words),
                               "--cluster-yes"], capture_output=True, text=True, check=False,
                              timeout=240)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr

    def whole(self):
        """Everybody agrees that all slots are served, and every replica follows."""
        for one in self.alive():
            client = one.client()
            info = client.execute_command("CLUSTER INFO")
            known = int(info["cluster_known_nodes"])
            if info["cluster_state"] != "ok" or known < len(self.servers):
                return False
            state = client.info("replication")
            if state["role"] == "slave" and state["master_link_status"] != "up":
                return False
        return True

    def alive(self):
        return [one for one in self.servers if one.server.running]

    def masters(self):
        return [one for one in self.alive() if one.client().info("replication")["role"] == "master"]

    def get(self, key):
        for one in self.masters():
            try:
                return one.client().get(key)
            except redis.exceptions.RedisError:
                continue  # another node's
        raise AssertionError(f"no node has {key}")

    def close(self):
        for one in self.servers:
            one.close()
