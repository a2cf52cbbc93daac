"""Weighted sums: a sampler's step is one or two of them."""

import numpy as np

from ...arrays import Floats, Sample

Weights = tuple[float, ...]
"""One weight per term."""


def weight_rows(*columns: Floats) -> list[Weights]:
    """The weights of the same sum at every step, from one column (S,) per term."""
    return [tuple(row) for row in np.stack(columns, axis=1).tolist()]


class Sums:
    """Weighted sums of the arrays of one run, which are alike: their products share one buffer.

    Where samples have hundreds of kilobytes, an allocation costs as much as a sum. One thread at a time.
    """

    def __init__(self) -> None:
        self._product: Sample | None = None

    def __call__(self, weights: Weights, *terms: Sample | None, into: Sample | None = None) -> Sample:
        """Σ w·x from left to right, in the terms' dtype. A term of weight 0 is left out, and may be None.

        ``into``: where it is written, which may be the first term; by default new memory.
        """
        total: Sample | None = None
        for weight, term in zip(weights, terms, strict=True):
            if not weight:
                continue
            assert term is not None
            if total is None:
                total = np.multiply(term, weight, out=into)
            else:
                self._product = np.multiply(term, weight, out=self._product)
                total += self._product
        assert total is not None
        return total


def weighted_sum(weights: Weights, *terms: Sample | None) -> Sample:
    """One sum as of ``Sums``, in new memory."""
    return Sums()(weights, *terms)
