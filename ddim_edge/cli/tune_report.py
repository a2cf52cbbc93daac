"""What ``ddim-edge tune`` shows: its table, its strip of pictures, and the figures of a preset."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..arrays import Pixels
from ..benchmark.tune import OFF, Measured

_GAP = 2
"""Pixels between the pictures of a strip."""


def strip_of(rows: Sequence[Pixels]) -> Pixels:
    """One picture of rows of pictures, uint8 (N, H, W, C) each, on white."""
    padded = [np.pad(row, ((0, 0), (0, _GAP), (0, _GAP), (0, 0)), constant_values=255) for row in rows]
    return np.concatenate([np.concatenate(list(row), axis=1) for row in padded])


def figures(row: Measured, off: Measured) -> dict[str, Any]:
    """What was measured, as a preset has it."""
    return {
        "distance": round(row.distance, 5),
        "psnr": None if row.psnr is None else round(row.psnr, 2),
        "times_faster": round(off.seconds / row.seconds, 3),
        "whole_calls": round(row.whole, 2),
        "cached_calls": round(row.cached, 2),
        "images": len(row.images),
    }


def row_of(row: Measured, off: Measured, best: Measured | None) -> dict[str, Any]:
    """A line of the table, for --json."""
    options = {"cache": row.setting.cache, "cache_threshold": row.setting.threshold}
    return {**options, **figures(row, off), "seconds": round(row.seconds, 5), "chosen": row is best}


def text_of(name: str, rows: Sequence[Measured], best: Measured | None, max_distance: float, preset: str) -> str:
    """The table, and the preset that was written into the bundle of that name."""
    lines = [f"{'cache':26}{'whole':>7}{'cached':>8}{'s an image':>12}{'faster':>8}{'distance':>10}{'PSNR':>7}"]
    for row in rows:
        psnr = "" if row.psnr is None else f"{row.psnr:.1f}"
        faster = f"{rows[0].seconds / row.seconds:.2f}x"
        distance = "" if row.setting == OFF else f"{row.distance:.4f}"
        lines.append(
            f"{row.setting.name:26}{row.whole:7.1f}{row.cached:8.1f}{row.seconds:12.4f}{faster:>8}{distance:>10}{psnr:>7}"
        )
    if best is None:
        return "\n".join([*lines, f"no cache is faster within a distance of {max_distance:g}: nothing was written"])
    told = f"preset {preset} of {name} is {best.setting.name}: ddim-edge run {name} --preset {preset}"
    return "\n".join([*lines, told])
