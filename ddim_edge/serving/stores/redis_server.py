"""A Redis or Valkey server: its address, its keys and its errors."""

from collections.abc import Iterator
from contextlib import contextmanager

import redis
import redis.asyncio

from ...errors import ConfigError
from ..errors import StoreFailed

SCHEMA_VERSION = b"1"
PREFIX = "ddim-edge:"
_CONNECT_S = 5.0
_ANSWER_S = 10.0
"""Longer than any command waits."""


def connect(url: str) -> redis.asyncio.Redis:
    """A client for asyncio; it connects when it is used.

    Raises ConfigError if the server cannot be reached now, or holds the keys of another version.
    """
    try:
        with redis.Redis.from_url(url, socket_connect_timeout=_CONNECT_S, socket_timeout=_ANSWER_S) as client:
            client.set(f"{PREFIX}schema", SCHEMA_VERSION, nx=True)
            version = client.get(f"{PREFIX}schema")
    except ValueError as error:
        raise ConfigError(f"--store: the address is not valid: {error}") from None
    except redis.RedisError as error:
        raise ConfigError(f"--store: the Redis server cannot be used: {error}") from None
    if version != SCHEMA_VERSION:
        shown = version.decode(errors="replace") if isinstance(version, bytes) else version
        raise ConfigError(f"--store: the Redis server holds version {shown}, not 1: name another database of it")
    return redis.asyncio.Redis.from_url(url, socket_connect_timeout=_CONNECT_S, socket_timeout=_ANSWER_S)


def milliseconds(seconds: float) -> int:
    """For the times of Redis' commands, at least 1."""
    return max(1, round(seconds * 1000))


@contextmanager
def reaching() -> Iterator[None]:
    """Raises StoreFailed for an error of the server or of the connection."""
    try:
        yield
    except redis.RedisError as error:
        raise StoreFailed("the store of images and jobs cannot be reached: try again later") from error
