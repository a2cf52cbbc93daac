"""Exponential integrators in log-SNR time: the weights of their steps.

With λ = log(signal/noise) for time, the linear part of the probability-flow ODE has an exact solution, and a step of
length h = λ' - λ is one sum (Lu et al. 2022, https://arxiv.org/abs/2206.00927, eq. 3.4; 2211.01095, eq. 9)::

    of x_0:  x' = noise'/noise·x + signal'·∫ e^-(h-u)·x_0(λ+u) du
    of ε:    x' = signal'/signal·x - noise'·∫ e^(h-u)·ε(λ+u) du        u from 0 to h

The integrand is a polynomial through the latest predictions m. With D1, D2 its differences (scaled by h and h²)::

    x' = keep·x + gain·(m + c_1·D1 + c_2·D2)

    g_1 = 1 - e^-h,  g_2 = 1 - g_1/h,  g_3 = 1/2 - g_2/h;    gain = signal'·g_1,  c_1 = g_2/g_1,  c_2 = g_3/g_1

For ε, h is -h in these, and noise' stands for signal'. For the SDE with x_0 it is 2h, and for that with ε gain is twice
as large (2211.01095, section 5); fresh noise makes up for the variance that ``keep`` leaves out.
"""

import math
from typing import NamedTuple

import numpy as np

from ...arrays import Floats
from ...config.solver import Algorithm
from ...errors import ConfigError
from ..levels import Levels

SHORT = 1e-4
"""The formulas of c_1 and c_2 lose half of their digits below this length."""

Shares = tuple[float, ...]
"""The weights of the latest predictions in D = m + c_1·D1 + c_2·D2, the latest first."""


class Integral(NamedTuple):
    """Steps x' = keep·x + gain·D + fresh·z, one value per step; ``length`` is what h is in g_1 to g_3."""

    keep: Floats
    gain: Floats
    fresh: Floats
    length: Floats


def integral(algorithm: Algorithm, starts: Levels, ends: Levels) -> Integral:
    """The steps from ``starts`` to ``ends``, S levels each. Raises ConfigError if the SDE would gain noise."""
    h = ends.half_log_snr - starts.half_log_snr
    zero = np.zeros_like(h)
    if algorithm.startswith("sde-") and np.any(h < 0):
        raise ConfigError(
            f"algorithm_type {algorithm!r} goes from more noise to less, and the last step would lead to more: take "
            "final_sigma 'zero', or a higher sigma_min"
        )
    if algorithm == "dpmsolver++":
        return Integral(ends.noise / starts.noise, -ends.signal * np.expm1(-h), zero, h)
    if algorithm == "sde-dpmsolver++":
        kept, lost = np.exp(-h), -np.expm1(-2 * h)
        return Integral(ends.noise / starts.noise * kept, ends.signal * lost, ends.noise * np.sqrt(lost), 2 * h)
    # noise' - signal'·noise/signal is -noise'·(e^h - 1), and finite for a step to noise' = 0
    keep = ends.signal / starts.signal
    gain = ends.noise - keep * starts.noise
    if algorithm == "dpmsolver":
        return Integral(keep, gain, zero, -h)
    return Integral(keep, 2 * gain, ends.noise * np.sqrt(np.expm1(2 * h)), -h)


def corrections(length: float) -> tuple[float, float]:
    """c_1 and c_2 of a step; the first terms of their series where the formulas would lose digits."""
    if abs(length) < SHORT:
        return 1 / 2 + length / 12, 1 / 6 + length / 24
    g_1 = -math.expm1(-length)
    g_2 = 1 - g_1 / length
    g_3 = 1 / 2 - g_2 / length
    return g_2 / g_1, g_3 / g_1


def multistep_shares(h: float, before: list[float], c_1: float, c_2: float) -> Shares:
    """The shares of m_0, m_1 and m_2 in a step of length ``h``.

    ``before``: the lengths of the steps before it, the latest first; their number is the order less one. D1 is the
    derivative at the step's start and D2 a divided difference, which is half of the second derivative.
    """
    if not before:
        return 1.0, 0.0, 0.0
    to_m1 = h / before[0]
    if len(before) == 1:
        return 1 + c_1 * to_m1, -c_1 * to_m1, 0.0
    to_m2 = h / before[1]
    second = (c_1 * before[0] + c_2 * h) / (before[0] + before[1])
    return 1 + (c_1 + second) * to_m1, -(c_1 + second) * to_m1 - second * to_m2, second * to_m2


def block_shares(places: list[float], c_1: float, c_2: float) -> Shares:
    """The shares of the predictions of a singlestep block, the latest first.

    ``places``: where in the step each but the first prediction stands, from 0 (its start) to 1 (its end), the latest
    first. With two, D1 and D2 are the derivatives at the start; for c_2 = 0, D1 is the latest difference alone.
    """
    if not places:
        return 1.0, 0.0, 0.0
    if len(places) == 1:
        return c_1 / places[0], 1 - c_1 / places[0], 0.0
    r_0, r_1 = places
    if c_2 == 0:
        return c_1 / r_0, 0.0, 1 - c_1 / r_0
    # D1 = (r_0·d_1 - r_1·d_0)/(r_0 - r_1) and D2 = 2·(d_0 - d_1)/(r_0 - r_1), with d_k = (m_k - m_2)/r_k
    of_d0, of_d1 = (2 * c_2 - c_1 * r_1) / (r_0 - r_1), (c_1 * r_0 - 2 * c_2) / (r_0 - r_1)
    return of_d0 / r_0, of_d1 / r_1, 1 - of_d0 / r_0 - of_d1 / r_1
