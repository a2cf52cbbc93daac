"""The honest rival of a cached run: the same time, spent on fewer plain steps."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Row = Mapping[str, Any]


def rival(plain: Sequence[Row], seconds: float) -> float:
    """The distance that plain runs reach in ``seconds`` an image.

    Of all plain runs, whatever their sampler, that took no longer, the best; between two of them in line over the
    logarithm of the seconds. NaN for less time than any plain run takes.
    """
    ordered = sorted(plain, key=lambda row: float(row["seconds"]))
    if seconds < ordered[0]["seconds"]:
        return float("nan")
    best = np.minimum.accumulate([row["distance"] for row in ordered])
    times = np.log([row["seconds"] for row in ordered])
    return float(np.interp(np.log(seconds), times, best))
