"""Beside: work such as encoding and writing that a thread does while the network goes on."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

_MOST_PENDING = 2
"""One piece of work that is being done, and one that waits: memory stays bounded."""


class Beside:
    """One thread that does pieces of work in order. Their errors are raised by the next call of ``do`` or ``wait``."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "ddim-edge-writer")
        self._pending = deque[Future[None]]()

    def do(self, work: Callable[..., None], *arguments: Any) -> None:
        """Have ``work`` done; waits while two pieces are pending. Raises the error of an earlier piece."""
        while self._pending and (self._pending[0].done() or len(self._pending) == _MOST_PENDING):
            self._pending.popleft().result()
        self._pending.append(self._thread.submit(work, *arguments))

    def close(self) -> None:
        """Wait until everything is done, whether it fails or not, and end the thread."""
        self._thread.shutdown()

    def wait(self) -> None:
        """Wait until everything is done. Raises the first error."""
        while self._pending:
            self._pending.popleft().result()
