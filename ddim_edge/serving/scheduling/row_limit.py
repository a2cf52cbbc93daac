"""How many rows a network call may have: as many as were asked for, and as memory holds."""

from ...runtime.hardware.memory import Memory

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
