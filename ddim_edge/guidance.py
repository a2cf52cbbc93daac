"""Classifier-free guidance (Ho & Salimans 2022, https://arxiv.org/abs/2207.12598)."""

from .schedule import Sample


def guide(conditional: Sample, unconditional: Sample, scales: Sample) -> Sample:
    """ε_∅ + w·(ε_c - ε_∅): w = 1 is the conditional prediction, above 1 moves away from the unconditional one.

    ``conditional`` and ``unconditional``: float32 (B, C, H, W); ``scales``: float32 (B,), one w a row.
    """
    weights = scales.reshape(-1, *(1,) * (conditional.ndim - 1))
    return unconditional + weights * (conditional - unconditional)
