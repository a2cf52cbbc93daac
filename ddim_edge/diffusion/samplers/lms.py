"""The linear multistep method in σ (k-diffusion's ``lms``; Adams and Bashforth's, for steps of any length).

The ODE is dx̃/dσ = d = (x̃ - x_0)/σ (Karras et al. 2022, https://arxiv.org/abs/2206.00364, eq. 3), whose right side is ε.
The polynomial through the last k ≤ 4 values of d, at σ_i, σ_{i-1}, …, is integrated over the step::

    x̃_{i+1} = x̃_i + Σ_j c_j·d_{i-j},    c_j = ∫ from σ_i to σ_{i+1} of Π_{k≠j} (σ - σ_{i-k})/(σ_{i-j} - σ_{i-k}) dσ

The integrand has degree 3 at most, for which Gauss and Legendre's formula with two nodes is exact.
"""

import itertools
import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from ...arrays import Sample
from ...config import NoiseLevelsConfig, RealTimeConfig
from ..clipping import limit_of
from ..schedule import prediction_columns
from .query import NoiseSource, Query, Sampler, times
from .run_levels import levels_of
from .slopes import slope_rows
from .weights import Weights, aligned_like, weight_rows, weighted_sum

ORDER = 4
GAUSS_LEGENDRE = ((1 - 1 / math.sqrt(3)) / 2, (1 + 1 / math.sqrt(3)) / 2)
"""The nodes on [0, 1]; both have the weight ½."""


@dataclass(frozen=True, kw_only=True)
class LmsConfig(RealTimeConfig, NoiseLevelsConfig):
    """Options of the linear multistep method in σ (k-diffusion's ``lms``)."""

    name: ClassVar[str] = "lms"
    summary: ClassVar[str] = "multistep of order 4 in σ (k-diffusion)"
    scheduler_class: ClassVar[str] = "LMSDiscreteScheduler"


class Row(NamedTuple):
    """One step: the weights of (x_t, prediction) in x_0, of (x_t, prediction, x_0) in d, and of (x_t, d's) in x_t'."""

    x0: Weights
    slope: Weights
    next: Weights


class LmsSchedule:
    """LMS over ``num_steps`` steps; see ``DdimSchedule`` for the attributes."""

    def __init__(self, config: LmsConfig, num_steps: int, strength: float = 1.0) -> None:
        self.timesteps, levels = levels_of(config, num_steps, strength)
        self.config, self.limit, self.levels = config, limit_of(config), levels[:-1]
        x0 = weight_rows(*prediction_columns(config, self.levels)[:2])
        slopes = slope_rows(config, self.levels)
        sigmas, signals = levels.sigmas.tolist(), levels.signal.tolist()
        following = [
            _filled(then / now, *(then * weight for weight in coefficients(sigmas[max(0, i - ORDER + 1) : i + 2])))
            for i, (now, then) in enumerate(itertools.pairwise(signals))
        ]
        self.rows = [Row(*row) for row in zip(x0, slopes, following, strict=True)]


def coefficients(sigmas: list[float]) -> list[float]:
    """c_j, the latest first, of the step between the last two of ``sigmas``; the others are those of earlier values."""
    *known, now, then = sigmas
    nodes = [now, *reversed(known)]
    places = [now + share * (then - now) for share in GAUSS_LEGENDRE]
    return [sum(_basis(nodes, j, place) for place in places) * (then - now) / 2 for j in range(len(nodes))]


def _basis(nodes: list[float], j: int, sigma: float) -> float:
    """Lagrange's polynomial that is 1 at node j and 0 at the others."""
    return math.prod((sigma - node) / (nodes[j] - node) for k, node in enumerate(nodes) if k != j)


def _filled(*weights: float) -> Weights:
    """The weights with zeros for the values that a lower order does not use."""
    return *weights, *(0.0,) * (1 + ORDER - len(weights))


def lms(schedule: LmsSchedule, sample: Sample, _noise: NoiseSource | None = None) -> Sampler:
    """Sample from x_T, float32 of any shape."""
    product, *recent = aligned_like(sample, 1 + ORDER)
    denoised: Sample | None = None
    for timestep, row in zip(times(schedule.timesteps), schedule.rows, strict=True):
        prediction = yield Query(sample, timestep, denoised)
        denoised = weighted_sum(row.x0, sample, prediction, product=product)
        if schedule.limit:
            denoised = schedule.limit(denoised)
        slope = weighted_sum(row.slope, sample, prediction, denoised, into=recent.pop(), product=product)
        recent = [slope, *recent]
        sample = weighted_sum(row.next, sample, *recent, product=product)
    return sample
