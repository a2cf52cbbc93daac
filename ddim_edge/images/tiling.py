"""Tiling: calls a network on overlapping square tiles of an image, and blends the outputs linearly.

Tiles and blending equal those of diffusers' ``AutoencoderKL.tiled_decode`` and ``tiled_encode``. The network normalizes
over a tile instead of the whole image, so the result is close to that of one call, not equal.
"""

from collections.abc import Callable
from fractions import Fraction

import numpy as np

from ..arrays import Sample

_OVERLAP = Fraction(1, 4)


def tiled(run: Callable[[Sample], Sample], array: Sample, side: int, scale: Fraction) -> Sample:
    """Call ``run`` on tiles of ``array``, float32 (B, C, H, W), and return the outputs as one array.

    ``side``: length of a tile's sides; a multiple of 4, and of 4/``scale`` where ``scale`` is below 1.
    ``scale``: length of an output's sides divided by the input's. Tiles are cut off at the lower and right edges. At
    most one row of tiles is in memory beside the result.
    """
    step, kept = int(side * (1 - _OVERLAP)), int(side * scale * (1 - _OVERLAP))
    rows, above = [], list[Sample]()
    for top in range(0, array.shape[2], step):
        row = [run(array[..., top : top + side, left : left + side]) for left in range(0, array.shape[3], step)]
        above = _blend_row(row, above, int(side * scale * _OVERLAP))
        rows.append(np.concatenate([output[..., :kept, :kept] for output in row], axis=3))
    return np.concatenate(rows, axis=2)


def _blend_row(row: list[Sample], above: list[Sample], extent: int) -> list[Sample]:
    """Blend a row of outputs, in place, with those above and to the left where they overlap; return the row."""
    for index, output in enumerate(row):
        if above:
            _blend(above[index].swapaxes(2, 3), output.swapaxes(2, 3), extent)
        if index:
            _blend(row[index - 1], output, extent)
    return row


def _blend(left: Sample, right: Sample, extent: int) -> None:
    """Blend the last ``extent`` columns of ``left`` into the first ones of ``right``, in place."""
    extent = min(extent, left.shape[3], right.shape[3])
    share = np.arange(extent, dtype=np.float32) / np.float32(extent)
    right[..., :extent] = left[..., -extent:] * (1 - share) + right[..., :extent] * share
