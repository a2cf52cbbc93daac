"""Weighted sums: a sampler's step is one or two of them."""

import numpy as np

from ...arrays import Floats, Sample

Weights = tuple[float, ...]
"""One weight per term."""
CACHE_LINE = 64
"""Bytes."""


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


def added(base: Sample, weights: Weights, *terms: Sample | None, into: Sample | None = None, product: Sample) -> Sample:
    """``base`` + Σ w·x as ``weighted_sum`` of a product that was made before; ``into`` may be ``base``."""
    for weight, term in zip(weights, terms, strict=True):
        if not weight:
            continue
        assert term is not None
        base = into = np.add(base, np.multiply(term, weight, out=product), out=into)
    return base


def aligned_like(sample: Sample, count: int) -> list[Sample]:
    """Memory for ``count`` arrays like ``sample``, each of which begins at a cache line.

    NumPy's own begins 16 bytes behind one, and with AVX-512 a sum of such arrays takes up to twice as long.
    """
    length = -(-sample.nbytes // CACHE_LINE) * CACHE_LINE
    memory = np.empty(count * length + CACHE_LINE, np.uint8)
    begin = -memory.__array_interface__["data"][0] % CACHE_LINE
    starts = range(begin, begin + count * length, length)
    return [memory[at : at + sample.nbytes].view(sample.dtype).reshape(sample.shape) for at in starts]
