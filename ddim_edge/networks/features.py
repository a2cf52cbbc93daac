"""Deep features: what a whole call of the UNet keeps of its rows for the shallow calls that follow.

DeepCache (Ma et al. 2023, https://arxiv.org/abs/2312.00858): the features of the deep blocks change little from step to
step. A whole call also returns them; a shallow call takes them and computes only the outermost layers.
"""

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


class Features(NamedTuple):
    """The features that an image keeps."""

    conditional: KeptRow
    unconditional: KeptRow | None
    """None where the whole call was not guided."""

    @property
    def nbytes(self) -> int:
        """Their bytes."""
        return sum(kept.nbytes for kept in self if kept is not None)


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


def stacked(rows: Sequence[KeptRow], count: int) -> Feed:
    """The features of ``rows`` as one array of ``count`` rows, the last of which are padding.

    It is not copied where the rows are neighbours in the array of one call, as those of images that run together are.
    """
    call, first = rows[0]
    end = first + count
    if end <= len(call) and all(row.call is call and row.position == first + at for at, row in enumerate(rows)):
        if count == len(call):
            return call
        if not isinstance(call, DeviceArray):
            return call[first:end]
    arrays = [np.asarray(row.call)[row.position : row.position + 1] for row in rows]
    return np.concatenate([*arrays, *arrays[-1:] * (count - len(rows))])
