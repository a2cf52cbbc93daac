"""Server processes: start, health check, stop, exit code."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

import httpx2

from ..results import CACHE, ROOT
from .batches import MAX_ROWS

LOGS = CACHE / "serving"
NO_BOUND = 100_000
"""Length of the queue: LitServe has no limit, so ours has none either where the two are compared."""
_START_S = 120.0
_STOP_S = 60.0


class Server:
    """A running server; a context manager that stops it. Its output goes to ``log``.

    ``open_files``: the most files that it may open; None for this process's own limit.
    """

    def __init__(
        self, name: str, arguments: Sequence[str], path: str, port: int, open_files: int | None = None
    ) -> None:
        self.path, self.port, self.address, self._terminated = path, port, f"http://127.0.0.1:{port}", False
        LOGS.mkdir(parents=True, exist_ok=True)
        self.log = LOGS / f"{name}.log"
        limited = () if open_files is None else ("sh", "-c", 'ulimit -n "$0" && exec "$@"', str(open_files))
        command = [*limited, sys.executable, *arguments]
        with open(self.log, "wb") as log:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=_environment(), stdout=log, stderr=log, start_new_session=True
            )
        self._wait()

    @property
    def url(self) -> str:
        """The URL that makes images."""
        return self.address + self.path

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def rss_kib(self) -> int:
        """The resident size of the process, VmRSS of /proc, in KiB."""
        return _rss_kib(self.pid)

    def tree_rss_kib(self) -> int:
        """The sum of the resident sizes of the process and of all below it, in KiB."""
        return sum(map(_rss_kib, tree(self.pid)))

    def open_files(self) -> int:
        """The number of files and connections that the process has open; 0 where it has ended."""
        with contextlib.suppress(OSError):
            return sum(1 for _ in Path(f"/proc/{self.pid}/fd").iterdir())
        return 0

    def terminate(self) -> None:
        """Send SIGTERM once, without waiting: a second one after the drain would change the exit code."""
        if not self._terminated:
            self._terminated = True
            self._process.terminate()

    def stop(self) -> int:
        """SIGTERM, and the exit code; a server that does not end is killed, with its child processes."""
        self.terminate()
        try:
            return self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            return -signal.SIGKILL
        finally:
            self._kill_group()

    def _kill_group(self) -> None:
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self._process.wait()

    def _wait(self) -> None:
        """Wait until it is healthy. Raises RuntimeError where it does not start."""
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline and self.alive:
            try:
                if httpx2.get(f"{self.address}/health", timeout=5).status_code == 200:
                    return
            except httpx2.HTTPError:
                pass
            time.sleep(0.1)
        self.stop()
        raise RuntimeError(f"the server did not start: {self.log} says why")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def ours(*options: str, name: str = "ddim-edge", open_files: int | None = None) -> Server:
    """``ddim-edge serve`` with MAX_ROWS rows and ``options``; ``open_files`` as in ``Server``."""
    port = free_port()
    program = "from ddim_edge.cli import main; main()"
    arguments = ["-c", program, "serve", "--provider", "cpu", "--max-rows", str(MAX_ROWS), "--port", str(port)]
    return Server(name, [*arguments, *options], "/v1/images/generations", port, open_files)


def baseline(requests_a_batch: int) -> Server:
    """LitServe with batches of ``requests_a_batch``."""
    port = free_port()
    arguments = ["-m", "bench.serving.baseline", str(port), str(requests_a_batch)]
    return Server(f"litserve-{requests_a_batch}", arguments, "/predict", port)


def tree(pid: int) -> Iterator[int]:
    """The process and all below it; a process that has ended has none."""
    yield pid
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from tree(int(child))


def command_line(pid: int) -> bytes:
    """The arguments of a process, with zeros between them; empty where it has ended."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def _rss_kib(pid: int) -> int:
    """0 for a process that has ended."""
    with contextlib.suppress(OSError):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return next((int(line.split()[1]) for line in lines if line.startswith("VmRSS:")), 0)
    return 0


def _environment() -> dict[str, str]:
    """The environment variables without the API key."""
    return {name: value for name, value in os.environ.items() if name != "DDIM_EDGE_API_KEY"}


def free_port() -> int:
    """A TCP port on which nothing listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
