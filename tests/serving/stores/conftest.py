"""A Redis server for the tests of a module, empty for each test."""

from collections.abc import Iterator

import pytest
import redis

from tests.serving.redis_process import redis_process


@pytest.fixture(scope="module")
def redis_server() -> Iterator[str]:
    """The address of a server."""
    with redis_process() as address:
        yield address


@pytest.fixture
def redis_url(redis_server: str) -> str:
    """The address of a server without keys."""
    with redis.Redis.from_url(redis_server) as client:
        client.flushall()
    return redis_server
