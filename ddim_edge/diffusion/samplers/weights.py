"""Weighted sums: a sampler's step is one or two of them."""

import numpy as np

from ...arrays import Floats, Sample

Weights = tuple[float, ...]
"""One weight per term."""


def weight_rows(*columns: Floats) -> list[Weights]:
    """The weights of the same sum at every step, from one column (S,) per term."""
    return [tuple(row) for row in np.stack(columns, axis=1).tolist()]


def weighted_sum(
    weights: Weights, *terms: Sample | None, into: Sample | None = None, product: Sample | None = None
) -> Sample:
    """Σ w·x from left to right, in the terms' dtype. A term of weight 0 is left out, and may be None.

    ``into``: where it is written, which may be the first term; by default new memory. ``product``: memory for the
    products. Where samples have hundreds of kilobytes, an allocation costs as much as the sum.
    """
    total: Sample | None = None
    for weight, term in zip(weights, terms, strict=True):
        if not weight:
            continue
        assert term is not None
        if total is None:
            total = np.multiply(term, weight, out=into)
        else:
            product = np.multiply(term, weight, out=product)
            total += product
    assert total is not None
    return total
