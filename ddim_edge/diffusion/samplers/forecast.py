"""Forecast: a sampler whose cached calls are answered by extrapolating the predictions of its last whole calls.

With the angle φ for the noise level, tan φ = noise/signal, the velocity of DDIM's path x = cos φ·x_0 + sin φ·ε is
v = dx/dφ = cos φ·ε - sin φ·x_0 (Salimans & Ho 2022, https://arxiv.org/abs/2202.00512, appendix D). It varies
slowly, so at a cached call v is the polynomial in φ through the last whole calls; of degree 1, with v_0 and v_1 the
last two::

    v(φ) = v_0 + (φ - φ_0)/(φ_0 - φ_1)·(v_0 - v_1)

Of φ, the timestep, the log-SNR and σ, the first two did best on the trained models, and φ is finite at every level and
never repeats. Of v, ε and x_0, v did best by far where a step adds fresh noise: from x_t and v follows an ε that
contains that noise, and at no level is an error made larger (``python -m bench.forecast``).

This is a linear multistep method in disguise: DDIM's steps between two whole calls integrate the polynomial, which is
the method of Adams and Bashforth of order degree + 1 for dx/dφ = v, on a grid of small steps. iPNDM (Zhang & Chen 2022,
https://arxiv.org/abs/2204.13902) and PNDM's eq. 12 are its kin. For DDIM alone an ``order`` of its step would say the
same with fewer words. It is a cache since the wrapper serves every sampler and keeps all of its steps, with their
limits of x_0, masks, fresh noise and previews. DPM-Solver++ and UniPC extrapolate already: there it is an extrapolation
of extrapolations, and fewer plain steps are better. LCM begins each step from new noise, which leaves little to
extrapolate.

The guided prediction is extrapolated. Guidance is linear, u + w·(c - u), and so is extrapolation, L, so both outputs
forecast apart would give the same: L(u) + w·(L(c) - L(u)) = L(u + w·(c - u)). Rescaled guidance is not linear: there
the rescaled prediction is extrapolated.
"""

from collections.abc import Sequence

import numpy as np

from ...arrays import Floats, Sample
from ...config import SamplerOptions
from ..levels import Levels
from ..step_cache import FORECAST_ORDER, CallPlan
from .query import Query, Sampler
from .weights import Weights, weight_rows, weighted_sum


def forecast(
    sampler: Sampler, config: SamplerOptions, levels: Levels, plan: CallPlan, order: int = FORECAST_ORDER
) -> Sampler:
    """Run any sampler, and pass on only the queries of whole calls.

    ``config``: the sampler's. ``levels``: those of the sample at each call. ``plan``: which calls are whole, made for
    this ``order``, the polynomial's degree. No ``StepQuery`` is passed on: a fused step returns no prediction.
    """
    query, past = next(sampler), _Past(order)
    for call, level in enumerate(zip(angles(levels).tolist(), from_velocity(config, levels), strict=True)):
        if plan.is_whole(call):
            prediction = yield Query(*query)
            plan.observe(call, prediction, past.prediction(query.sample, *level) if plan.observes else None)
            past.add(query.sample, prediction, *level)
        else:
            prediction = past.prediction(query.sample, *level)
        try:
            query = sampler.send(prediction)
        except StopIteration as end:
            result: Sample = end.value
            return result
    raise AssertionError("the sampler makes more calls than it has levels")


class _Past:
    """The velocities of the last whole calls. ``weights`` are those of ``from_velocity`` at ``angle``."""

    def __init__(self, order: int) -> None:
        self._most = order + 1
        self._angles: list[float] = []
        self._velocities: list[Sample] = []

    def add(self, sample: Sample, prediction: Sample, angle: float, weights: Weights) -> None:
        of_x, of_v = weights
        velocity = weighted_sum((-of_x / of_v, 1 / of_v), sample, prediction)
        self._angles = [*self._angles, angle][-self._most :]
        self._velocities = [*self._velocities, velocity][-self._most :]

    def prediction(self, sample: Sample, angle: float, weights: Weights) -> Sample | None:
        """The prediction at ``sample`` by extrapolation; None before the first whole call."""
        if not self._angles:
            return None
        of_x, of_v = weights
        shares = (of_v * share for share in lagrange(self._angles, angle))
        return weighted_sum((of_x, *shares), sample, *self._velocities)


def angles(levels: Levels) -> Floats:
    """φ at each of ``levels``, in radians."""
    found: Floats = np.arctan2(levels.noise, levels.signal)
    return found


def lagrange(nodes: Sequence[float], at: float) -> Weights:
    """The weights of the values at ``nodes``, which differ, in their polynomial's value ``at``."""
    return tuple(float(np.prod([(at - other) / (node - other) for other in nodes if other != node])) for node in nodes)


def from_velocity(config: SamplerOptions, levels: Levels) -> list[Weights]:
    """The weights of (x_t, v) in the prediction, at each call. What is a velocity itself stays what it is."""
    scale = 1 / np.hypot(levels.signal, levels.noise)
    if config.prediction_type == "noise":  # ε = sin φ·x + cos φ·v
        return weight_rows(levels.noise * scale**2, levels.signal * scale)
    if config.prediction_type == "sample":  # x_0 = cos φ·x - sin φ·v
        return weight_rows(levels.signal * scale**2, -levels.noise * scale)
    return weight_rows(0 * scale, 1 + 0 * scale)
