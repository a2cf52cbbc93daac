"""How many rows a network call may have: as many as were asked for, and as memory holds."""

import os
from collections.abc import Callable
from pathlib import Path

Memory = Callable[[], int | None]
"""Bytes; None where the platform does not tell."""

SHARE = 0.8
"""Of the memory that is free at start, how much may be used where nobody says."""
_ARENA = 2


class RowLimit:
    """Begins at two rows, a guided image; doubles where more are wanted and fit; halves where a device had too little.

    ``rows`` is the limit now, ``most`` the operator's. What a call needs grows about linearly with its rows, and what
    it needed stays with the process: so the growth since the model was opened, for the most rows that a call has had,
    foretells that of more; twofold, for ONNX Runtime's arena doubles when it grows.
    """

    def __init__(self, most: int, budget: int | None, used: Memory) -> None:
        self.most, self.rows = most, min(2, most)
        self._budget, self._used = budget, used
        self._at_first, self._seen = used(), 0

    def after_call(self, rows: int, wanted: int) -> None:
        """Learn from a call of ``rows`` rows, and raise the limit if ``wanted`` are more than it."""
        self._seen = max(self._seen, rows)
        if wanted > self.rows and self._fits(2 * self.rows):
            self.rows = min(2 * self.rows, self.most)

    def halve(self, rows: int) -> bool:
        """Lower the limit for good after a call of ``rows`` rows failed; False where there is nothing to halve."""
        if rows <= 1:
            return False
        self.most = self.rows = rows // 2
        return True

    def _fits(self, rows: int) -> bool:
        now = self._used()
        if now is None or self._at_first is None or self._budget is None:
            return True
        growth = max(0, now - self._at_first)
        return self._at_first + _ARENA * growth * rows / self._seen <= self._budget


def used_bytes() -> int | None:
    """The resident size of this process; None where the platform does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


def budget_bytes() -> int | None:
    """What this process may use: what it does use, and a share of what is free, in its container too."""
    used, free = used_bytes(), _free_bytes()
    return None if used is None or free is None else used + int(SHARE * free)


def _free_bytes() -> int | None:
    values = [value for value in (_machine_free(), _container_free()) if value is not None]
    return min(values, default=None)


def _machine_free() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), None)


def _container_free() -> int | None:
    """What cgroup v2 leaves to this process's group; None without a limit."""
    group = Path("/sys/fs/cgroup")
    try:
        return max(0, int((group / "memory.max").read_text()) - int((group / "memory.current").read_text()))
    except (OSError, ValueError):
        return None
