"""Clipping and dynamic thresholding of the predicted x_0."""

from collections.abc import Callable
from functools import partial

import numpy as np

from ..arrays import Sample
from ..config import ClipConfig, SamplerOptions, ThresholdConfig

Limit = Callable[[Sample], Sample]
"""Function that limits x_0, float32 (B, …). It may write to its argument."""


def limit_of(config: SamplerOptions) -> Limit | None:
    """Return the function by which ``config`` limits x_0: dynamic thresholding, clipping, or None."""
    if isinstance(config, ThresholdConfig) and config.dynamic_threshold_ratio is not None:
        return partial(_threshold, ratio=config.dynamic_threshold_ratio, largest=config.dynamic_threshold_max)
    if isinstance(config, ClipConfig) and config.clip_denoised_sample:
        return clipping(config.clip_range)
    return None


def clipping(limit: float) -> Limit:
    """The function that clips x_0 to ± ``limit``."""
    return partial(_clip, limit=limit)


def _clip(denoised: Sample, limit: float) -> Sample:
    # Two ufuncs: np.clip costs several times as much on arrays of this size.
    return np.minimum(np.maximum(denoised, -limit, out=denoised), limit, out=denoised)


def _threshold(denoised: Sample, ratio: float, largest: float) -> Sample:
    """Dynamic thresholding (Saharia et al. 2022, section 2.3): per image, clip to a quantile and scale to ±1."""
    magnitudes = np.abs(denoised).reshape(len(denoised), -1)
    limits = np.clip(np.quantile(magnitudes, ratio, axis=1), 1, largest)
    ranges = limits.astype(np.float32).reshape(-1, *(1,) * (denoised.ndim - 1))
    scaled: Sample = np.clip(denoised, -ranges, ranges) / ranges
    return scaled
