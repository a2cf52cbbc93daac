"""Inpainting: before each network call the part to keep is put back (Lugmayr et al. 2022, eq. 8, no resampling).

The part to keep is the original at the noise level of the sample, with one z for the whole run::

    x_t = m·x_t + (1-m)·(sqrt(ᾱ_t)·original + sqrt(1-ᾱ_t)·z)
"""

import math

import numpy as np
from numpy.typing import NDArray

from ...arrays import Floats, Sample
from .query import Query, Sampler

Mask = NDArray[np.bool_]


def inpaint(sampler: Sampler, levels: Floats, original: Sample, noise: Sample, keep: Mask) -> Sampler:
    """Run any sampler, and keep ``original`` where ``keep`` is True.

    ``levels``: ᾱ of the sample at each call. ``original`` and ``noise``: float32 of the sample's shape; ``keep``
    broadcasts to it. In the result the kept values are exactly those of the original.
    """
    query = next(sampler)
    for level in levels[1:].tolist():
        query = sampler.send((yield Query(*query)))  # no StepQuery: a fused step would skip the next line
        np.copyto(query.sample, add_noise(original, noise, level), where=keep)
    try:
        sampler.send((yield Query(*query)))
    except StopIteration as end:
        return np.where(keep, original, end.value)
    raise AssertionError("the sampler makes more calls than it has levels")


def add_noise(original: Sample, noise: Sample, alpha_bar: float) -> Sample:
    """x_t of q(x_t | x_0) from x_0 and z, both float32 of one shape."""
    return math.sqrt(alpha_bar) * original + math.sqrt(1 - alpha_bar) * noise
