"""conftest.py - what the stories of this folder share."""

import os

import pytest

from harness import daemon as daemon_module
from harness import shop as shops


@pytest.fixture(params=["postgres", "redis"])
def shop(request, make_daemon, postgres, redis_server):
    server, kind = {"postgres": (postgres, shops.PostgresShop),
                    "redis": (redis_server, shops.RedisShop)}[request.param]
    own = make_daemon(daemon_module.target("engine", request.param, uri=server.uri,
                                           delivery="exactly-once", connections=4)
                      + daemon_module.LOCAL).start()
    yield kind(server, own)
    server.close()
    own.stop()


@pytest.fixture
def contained():
    """The name of awaitd's image."""
    return os.environ["AWAITD_IMAGE"]
