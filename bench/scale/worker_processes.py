"""Processes of ``ddim-edge worker``, which are killed and started again."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from .serve_cluster import wait_for

_PROGRAM = "from ddim_edge.cli import main; main()"
_READY = b"ddim-edge makes jobs"
_STOP_S = 60.0


class Workers:
    """So many workers of one store, which make at most ``jobs_each`` jobs at a time; ``folder`` is for their logs."""

    def __init__(self, store: str, count: int, jobs_each: int, folder: Path) -> None:
        options = ("worker", "fashion-mnist", "--provider", "cpu", "--store", store, "--max-rows", str(jobs_each))
        self._command, self._folder, self._starts = (sys.executable, "-c", _PROGRAM, *options), folder, 0
        self._workers = [self._start() for _ in range(count)]

    def wait(self) -> None:
        """Wait until all look for jobs."""
        wait_for(lambda: all(worker.is_ready for worker in self._workers))

    def kill_oldest(self) -> None:
        """End the worker that has looked for jobs longest, as a lack of memory would, and start another.

        Waits until there is one.
        """
        wait_for(lambda: self._workers[0].is_ready)
        worker = self._workers.pop(0)
        worker.end()
        self._workers.append(self._start())

    def stop(self) -> list[int]:
        """End all by SIGTERM; their exit codes."""
        for worker in self._workers:
            worker.process.terminate()
        return [worker.process.wait(_STOP_S) for worker in self._workers]

    def end(self) -> None:
        """End all at once."""
        for worker in self._workers:
            worker.end()

    def _start(self) -> "_Worker":
        self._starts += 1
        return _Worker(self._command, self._folder / f"worker-{self._starts}.log")


class _Worker:
    """A process and its log."""

    def __init__(self, command: Sequence[str], log: Path) -> None:
        self._log = log
        with open(log, "wb") as file:
            self.process = subprocess.Popen(command, stdout=file, stderr=file)

    @property
    def is_ready(self) -> bool:
        """Whether it has begun to look for jobs."""
        return _READY in self._log.read_bytes()

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def started(workers: Workers) -> Iterator[Workers]:
    """The workers, when all look for jobs; they are ended in any case."""
    try:
        workers.wait()
        yield workers
    finally:
        workers.end()
