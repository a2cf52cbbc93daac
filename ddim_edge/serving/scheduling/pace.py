"""Pace: how long the rows of each model's network calls take, as measured."""

from collections.abc import Iterable

from .submission import Submission

_SHARE = 0.1
"""Of the newest call, in the exponential mean."""


class Pace:
    """The mean seconds of a row of a network call, for each model. The engine thread writes; any thread may read."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    def observe(self, model: str, rows: int, seconds: float) -> None:
        """Count one network call."""
        latest = seconds / rows
        before = self._seconds.get(model, latest)
        self._seconds[model] = before + _SHARE * (latest - before)

    def seconds_left(self, submissions: Iterable[Submission]) -> float:
        """Seconds that the network calls of these requests still take; 0 for models that have not run yet."""
        return sum(each.rows_left * self._seconds.get(each.model, 0.0) for each in submissions)
