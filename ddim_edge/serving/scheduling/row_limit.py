"""How many rows a network call may have: as many as were asked for, and as memory holds."""

from ...runtime.hardware.memory import Memory

_ARENA_FACTOR = 2


class RowLimit:
    """Begins at two rows, a guided image; doubles where more are wanted and fit; halves where a device had too little.

    ``rows`` is the limit now, ``most`` the operator's. What a call needs grows about linearly with its rows, and what
    it needed stays with the process: so the growth since the model was opened, for the most rows that a call has had,
    foretells that of more; twofold, for ONNX Runtime's arena doubles when it grows.
    """

    def __init__(self, max_rows: int, budget: int | None, used: Memory) -> None:
        self.max_rows, self.rows = max_rows, min(2, max_rows)
        self._budget, self._used = budget, used
        self._start_bytes, self._largest_call = used(), 0

    def after_call(self, rows: int, wanted: int) -> None:
        """Learn from a call of ``rows`` rows, and raise the limit if ``wanted`` are more than it."""
        self._largest_call = max(self._largest_call, rows)
        if wanted > self.rows and self._fits(2 * self.rows):
            self.rows = min(2 * self.rows, self.max_rows)

    def halve(self, rows: int) -> bool:
        """Lower the limit for good after a call of ``rows`` rows failed; False where there is nothing to halve."""
        if rows <= 1:
            return False
        self.max_rows = self.rows = rows // 2
        return True

    def _fits(self, rows: int) -> bool:
        now = self._used()
        if now is None or self._start_bytes is None or self._budget is None:
            return True
        growth = max(0, now - self._start_bytes)
        return self._start_bytes + _ARENA_FACTOR * growth * rows / self._largest_call <= self._budget
