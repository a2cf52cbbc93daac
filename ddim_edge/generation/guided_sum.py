"""Guided sum: guidance as a weighted sum of N predictions of the same sample under N conditionings.

Weights are 1 in all. Classifier-free guidance with the scale w has two (Ho & Salimans 2022)::

    w·ε(text) + (1-w)·ε(nothing)

InstructPix2Pix has three, with the scales s_T of the text and s_I of the picture (Brooks et al. 2023, eq. 3)::

    s_T·ε(text, picture) + (s_I-s_T)·ε(picture) + (1-s_I)·ε(nothing)
"""

from collections.abc import Sequence
from typing import NamedTuple

from ..arrays import Conditioning
from ..networks.row import Weighted


class GuidedSum(NamedTuple):
    """The predictions of a sum, as a ``Row`` has them."""

    conditioning: Conditioning
    unconditional: Conditioning | None = None
    scale: float = 1.0
    others: tuple[Weighted, ...] = ()


def guided_sum(terms: Sequence[Weighted]) -> GuidedSum:
    """The sum of ``terms``, whose weights are 1 in all: those of weight 0 are left out, and cost nothing."""
    first, *others = [term for term in terms if term.weight]
    if not others:
        return GuidedSum(first.conditioning)
    return GuidedSum(first.conditioning, others.pop().conditioning, first.weight, tuple(others))
