"""engines.py - the databases of a test: servers of its own, or containers (`make test-docker`)."""

from harness import container
from harness import postgres as postgres_module
from harness import redis_server as redis_module


def postgres():
    return container.Postgres() if container.in_use() else postgres_module.Postgres()


def redis_server():
    return container.RedisServer() if container.in_use() else redis_module.RedisServer()
