"""Comparisons of success: intervals of a rate, and of the difference of two rates over the same starts."""

import math
from collections.abc import Collection

import numpy as np

_Z = 1.959964
"""The 97.5 % quantile of the normal distribution."""
_RESAMPLES = 100_000


def wilson(successes: int, episodes: int) -> tuple[float, float]:
    """The 95 % interval of a rate (Wilson 1927)."""
    rate, spread = successes / episodes, _Z**2 / episodes
    middle = (rate + spread / 2) / (1 + spread)
    reach = _Z * math.sqrt(rate * (1 - rate) / episodes + spread / (4 * episodes)) / (1 + spread)
    return middle - reach, middle + reach


def difference(
    failed: Collection[int], failed_beside: Collection[int], episodes: int
) -> tuple[float, tuple[float, float]]:
    """How much more often the first succeeded, and the 95 % interval, by a bootstrap over the starts.

    ``failed``, ``failed_beside``: the starts at which each failed. Only those at which one of them failed count.
    """
    gained, lost = len(set(failed_beside) - set(failed)), len(set(failed) - set(failed_beside))
    shares = [gained / episodes, lost / episodes, 1 - (gained + lost) / episodes]
    drawn = np.random.default_rng(0).multinomial(episodes, shares, _RESAMPLES)
    low, high = np.quantile((drawn[:, 0] - drawn[:, 1]) / episodes, [0.025, 0.975])
    return (gained - lost) / episodes, (float(low), float(high))
