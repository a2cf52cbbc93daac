"""The limit of rows of a network call: it grows on demand while memory suffices."""

from ...runtime.hardware.memory import ReadMemory

_ARENA_FACTOR = 2


class RowLimit:
    """Starts at two rows (one guided image); doubled on demand while memory suffices; halved after a memory error.

    ``rows`` is the current limit, ``max_rows`` the most that it may become. ``budget``: most private bytes of the
    process, None for no limit; ``used`` reads how many it has. The memory of a call grows about linearly with its rows,
    and the process keeps it. So the growth since the model was loaded, divided by the largest call so far, predicts the
    memory of a larger call; times two, because ONNX Runtime's arena doubles when it grows. ``kept_row``: the bytes that
    each row may keep between calls, for a step cache.
    """

    def __init__(self, max_rows: int, budget: int | None, used: ReadMemory, kept_row: int = 0) -> None:
        self.max_rows, self.rows = max_rows, min(2, max_rows)
        self._budget, self._used, self._kept_row = budget, used, kept_row
        self._start_bytes, self._largest_call = used(), 0

    def after_call(self, rows: int, wanted: int) -> None:
        """Record a call of ``rows`` rows; double the limit if ``wanted`` rows exceed it and memory suffices."""
        self._largest_call = max(self._largest_call, rows)
        if wanted > self.rows and self._fits(2 * self.rows):
            self.rows = min(2 * self.rows, self.max_rows)

    def halve(self, rows: int) -> bool:
        """Set the limit to half of ``rows``, for good, after a call of ``rows`` rows failed; False for one row."""
        if rows <= 1:
            return False
        self.max_rows = self.rows = rows // 2
        return True

    def _fits(self, rows: int) -> bool:
        now = self._used()
        if now is None or self._start_bytes is None or self._budget is None:
            return True
        growth = max(0, now - self._start_bytes)
        kept = rows * self._kept_row
        return self._start_bytes + kept + _ARENA_FACTOR * growth * rows / self._largest_call <= self._budget
