"""Inpainting: before each network call the part to keep is put back (Lugmayr et al. 2022, eq. 8, no resampling).

The part to keep is the original at the noise level of the sample, with one z for the whole run::

    x_t = m·x_t + (1-m)·(signal·original + noise·z)
"""

import numpy as np
from numpy.typing import NDArray

from ...arrays import Sample
from ..levels import Level, Levels
from .query import Query, Sampler

Mask = NDArray[np.bool_]


def inpaint(sampler: Sampler, levels: Levels, original: Sample, noise: Sample, keep: Mask) -> Sampler:
    """Run any sampler, and keep ``original`` where ``keep`` is True.

    ``levels``: those of the sample at each call. ``original`` and ``noise``: float32 of the sample's shape; ``keep``
    broadcasts to it. In the result the kept values are exactly those of the original.
    """
    query = next(sampler)
    for level in levels[1:]:
        query = sampler.send((yield Query(*query)))  # no StepQuery: a fused step would skip the next line
        np.copyto(query.sample, add_noise(original, noise, level), where=keep)
    try:
        sampler.send((yield Query(*query)))
    except StopIteration as end:
        return np.where(keep, original, end.value)
    raise AssertionError("the sampler makes more calls than it has levels")


def add_noise(original: Sample, noise: Sample, level: Level) -> Sample:
    """x_t of q(x_t | x_0) from x_0 and z, both float32 of one shape."""
    return level.signal * original + level.noise * noise
