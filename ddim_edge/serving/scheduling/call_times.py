"""Call times: how long a model's network calls take, by their rows, and whether more rows in a call pay."""

from collections import deque

import numpy as np

_FEWEST_CALLS, _LATEST_CALLS = 3, 8
"""The calls of one size that are compared. The first one also reserves memory, and any may be interrupted."""
_MEASURE_EVERY = 16
"""One in so many calls is a small one in any case: what was slow by chance would never be measured again."""
_PAYS = 0.5
"""A larger call pays where a row takes at most this share of its time in a smaller call."""


class CallTimes:
    """The shortest of the latest network calls of a model, for each number of rows."""

    def __init__(self) -> None:
        self._seconds: dict[int, deque[float]] = {}
        self._calls = 0

    def observe(self, rows: int, seconds: float) -> None:
        """Count one network call."""
        self._calls += 1
        self._seconds.setdefault(rows, deque(maxlen=_LATEST_CALLS)).append(seconds)

    def rows_that_pay(self, few: int, many: int) -> int:
        """``many`` rows where one of them takes clearly less time than one of ``few``; else ``few``.

        On a GPU a call of many rows takes little longer than one of few. On a CPU it takes as much longer as it has
        more rows. A number of rows that was not measured often enough is returned, so that it will be.
        """
        for rows in (many, few):
            if self._expected(rows) is None:
                return rows
        if self._calls % _MEASURE_EVERY == 0:
            return few
        few_seconds, many_seconds = self._expected(few) or 0.0, self._expected(many) or 0.0
        return many if many_seconds / many <= _PAYS * few_seconds / few else few

    def _expected(self, rows: int) -> float | None:
        """Measured, or interpolated between smaller and larger calls; None outside of what was measured."""
        shortest = {size: min(calls) for size, calls in self._seconds.items() if len(calls) >= _FEWEST_CALLS}
        known = sorted(shortest)
        if not known or not known[0] <= rows <= known[-1]:
            return None
        return float(np.interp(rows, known, [shortest[size] for size in known]))
