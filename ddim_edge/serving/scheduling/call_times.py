"""Call times: how long a model's network calls take, by their rows, and whether more rows in a call pay."""

import numpy as np

_SHARE = 0.2
"""Of the newest call, in the exponential mean of calls with as many rows."""
_PAYS = 0.5
"""A larger call pays where a row takes at most this share of its time in a smaller call."""


class CallTimes:
    """The mean seconds of a model's network calls, for each number of rows."""

    def __init__(self) -> None:
        self._seconds: dict[int, float] = {}

    def observe(self, rows: int, seconds: float) -> None:
        """Count one network call."""
        before = self._seconds.get(rows, seconds)
        self._seconds[rows] = before + _SHARE * (seconds - before)

    def rows_that_pay(self, few: int, many: int) -> int:
        """``many`` rows where one of them takes clearly less time than one of ``few``; else ``few``.

        On a GPU a call of many rows takes little longer than one of few. On a CPU it takes as much longer as it has
        more rows. A number of rows that was not measured yet is returned, so that it will be.
        """
        for rows in (many, few):
            if self._expected(rows) is None:
                return rows
        few_seconds, many_seconds = self._expected(few) or 0.0, self._expected(many) or 0.0
        return many if many_seconds / many <= _PAYS * few_seconds / few else few

    def _expected(self, rows: int) -> float | None:
        """Measured, or interpolated between smaller and larger calls; None outside of what was measured."""
        known = sorted(self._seconds)
        if not known or not known[0] <= rows <= known[-1]:
            return None
        return float(np.interp(rows, known, [self._seconds[each] for each in known]))
