"""Tiles: a network over an image is called on overlapping squares of it, whose answers are blended linearly.

The squares and the blending are those of diffusers' ``AutoencoderKL.tiled_decode`` and ``tiled_encode``. What a network
normalizes over the whole image it normalizes over a square here, so the answer is near to that of one call, not equal.
"""

from collections.abc import Callable
from fractions import Fraction

import numpy as np

from ..arrays import Sample

_OVERLAP = Fraction(1, 4)


def tiled(run: Callable[[Sample], Sample], array: Sample, side: int, scale: Fraction) -> Sample:
    """Call ``run`` on squares of ``array``, float32 (B, C, H, W), and return its answers as one array.

    ``side`` of a square: a multiple of 4, and of 4 times the reciprocal of ``scale`` where that is below 1.
    ``scale``: how many times larger an answer is than what was asked, along each side. At the lower and right edges the
    squares are cut off. No more than a row of squares is held beside the result.
    """
    step, kept = int(side * (1 - _OVERLAP)), int(side * scale * (1 - _OVERLAP))
    rows, above = [], list[Sample]()
    for top in range(0, array.shape[2], step):
        row = [run(array[..., top : top + side, left : left + side]) for left in range(0, array.shape[3], step)]
        above = _blend_row(row, above, int(side * scale * _OVERLAP))
        rows.append(np.concatenate([answer[..., :kept, :kept] for answer in row], axis=3))
    return np.concatenate(rows, axis=2)


def _blend_row(row: list[Sample], above: list[Sample], extent: int) -> list[Sample]:
    """Change the answers of a row where they overlap with those above and to the left; return it."""
    for index, answer in enumerate(row):
        if above:
            _blend(above[index].swapaxes(2, 3), answer.swapaxes(2, 3), extent)
        if index:
            _blend(row[index - 1], answer, extent)
    return row


def _blend(left: Sample, right: Sample, extent: int) -> None:
    """Let the first ``extent`` columns of ``right`` come gradually out of the last ones of ``left``."""
    extent = min(extent, left.shape[3], right.shape[3])
    share = np.arange(extent, dtype=np.float32) / np.float32(extent)
    right[..., :extent] = left[..., -extent:] * (1 - share) + right[..., :extent] * share
