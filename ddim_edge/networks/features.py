"""Deep features: what a whole call of the UNet keeps of its rows for the shallow calls that follow.

DeepCache (Ma et al. 2023, https://arxiv.org/abs/2312.00858): the features of the deep blocks change little from step to
step. A whole call also returns them; a shallow call takes them and computes only the outermost layers.
"""

import weakref
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..runtime.sessions.device_buffers import DeviceArray
from ..runtime.sessions.session import Feed


class KeptRow(NamedTuple):
    """The row at ``position`` of the features that a call returned. They can be on the device."""

    call: Feed
    position: int

    @property
    def nbytes(self) -> int:
        """The bytes of the row."""
        return int(np.prod(self.call.shape[1:])) * self.call.dtype.itemsize


Features = tuple[KeptRow, ...]
"""What an image keeps: of each prediction of its whole call, in the order of ``Row.conditionings``."""


def kept_rows(features: Feed, keeping: Sequence[bool]) -> list[KeptRow | None]:
    """Those of a call's rows that are kept, None for the others.

    ``features`` may have more rows, which are padding. Where not all rows are kept, those that are get memory of their
    own, so that the others' is freed; on the device all stay.
    """
    if all(keeping) or isinstance(features, DeviceArray):
        return [KeptRow(features, index) if keeps else None for index, keeps in enumerate(keeping)]
    indices = np.flatnonzero(keeping)
    own, places = features[indices], {int(index): place for place, index in enumerate(indices)}
    return [KeptRow(own, places[index]) if keeps else None for index, keeps in enumerate(keeping)]


class FeatureStack:
    """Joins the features of rows into one array for a call. Not thread-safe.

    Features of rows that are neighbours in the array of one call, as those of images that run together are, are not
    copied. Others are copied into one array, which is kept: new memory of that size takes longer than the copies. What
    it already has is not copied again.
    """

    def __init__(self) -> None:
        self._array = np.empty(0, np.float32)
        self._has: list[tuple[weakref.ref[Feed], int] | None] = []

    def joined(self, rows: Sequence[KeptRow], count: int) -> Feed:
        """The features of ``rows`` as an array of ``count`` rows, the last of which are padding. Do not keep it."""
        call, first = rows[0]
        end = first + count
        if end <= len(call) and all(row.call is call and row.position == first + at for at, row in enumerate(rows)):
            if count == len(call):
                return call
            if not isinstance(call, DeviceArray):
                return call[first:end]
        self._reserve(count, call)
        for at in range(count):
            self._copy(rows[min(at, len(rows) - 1)], at)
        return self._array[:count]

    def _reserve(self, count: int, like: Feed) -> None:
        if len(self._array) < count or self._array.shape[1:] != like.shape[1:] or self._array.dtype != like.dtype:
            self._array, self._has = np.empty((count, *like.shape[1:]), like.dtype), [None] * count

    def _copy(self, row: KeptRow, at: int) -> None:
        has = self._has[at]
        if has is None or has[0]() is not row.call or has[1] != row.position:
            self._array[at] = np.asarray(row.call)[row.position]
            self._has[at] = weakref.ref(row.call), row.position
