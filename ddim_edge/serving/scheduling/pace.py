"""Pace: how long the rows of each model's network calls take, as measured."""

from collections.abc import Iterable

from ...networks.row import RowCount
from .submission import Submission

_SHARE = 0.1
"""Of the newest call, in the exponential mean."""


class Pace:
    """The mean seconds of a row of a call of each model's UNet, and of its shallow graph.

    The engine thread writes; any thread may read.
    """

    def __init__(self) -> None:
        self._whole: dict[str, float] = {}
        self._shallow: dict[str, float] = {}

    def observe(self, model: str, rows: int, seconds: float, *, shallow: bool = False) -> None:
        """Count one network call."""
        means, latest = self._shallow if shallow else self._whole, seconds / rows
        before = means.get(model, latest)
        means[model] = before + _SHARE * (latest - before)

    def seconds_left(self, submissions: Iterable[Submission]) -> float:
        """Seconds that the network calls of these requests still take; 0 for models that have not run yet."""
        return sum(self._seconds(each.model, each.rows_of_each_kind_left) for each in submissions)

    def _seconds(self, model: str, rows: RowCount) -> float:
        return rows.whole * self._whole.get(model, 0.0) + rows.shallow * self._shallow.get(model, 0.0)
