"""The Fréchet distance between Gaussians fitted to two sets of features (Heusel et al. 2017, eq. 6)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Gaussian:
    """A mean (D,) and a covariance (D, D), float64."""

    mean: Float64
    covariance: Float64

    @classmethod
    def fit(cls, features: NDArray[np.floating]) -> "Gaussian":
        """The sample mean and the unbiased sample covariance of ``features`` (N, D), N ≥ 2."""
        rows = features.astype(np.float64)
        return cls(rows.mean(axis=0), np.atleast_2d(np.cov(rows, rowvar=False)))


def frechet_distance(first: Gaussian, second: Gaussian) -> float:
    """|m1 - m2|² + tr(C1 + C2 - 2 (C1 C2)^½), a squared length in the units of the features.

    The trace of (C1 C2)^½ is that of (C1^½ C2 C1^½)^½: symmetric, so its eigenvalues are real.
    """
    difference = first.mean - second.mean
    root = _square_root(first.covariance)
    shared = np.linalg.eigvalsh(root @ second.covariance @ root)
    trace = np.trace(first.covariance) + np.trace(second.covariance) - 2 * np.sqrt(shared.clip(0)).sum()
    return float(difference @ difference + trace)


def _square_root(covariance: Float64) -> Float64:
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray((vectors * np.sqrt(values.clip(0))) @ vectors.T)
