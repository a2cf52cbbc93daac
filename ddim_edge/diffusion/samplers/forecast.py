"""Forecast: a sampler whose cached calls are answered by extrapolating the predictions of its last whole calls.

The prediction p is a smooth function of the noise level. With φ = arccos(sqrt(ᾱ)) for the level, the polynomial through
the last whole calls is evaluated at the level of a cached call; of degree 1, with p_0 and p_1 the last two::

    p(φ) = p_0 + (φ - φ_0)/(φ_0 - φ_1)·(p_0 - p_1)

This is a linear multistep method in disguise. DDIM without noise and clipping integrates dx̃ = ε dσ (eq. 14), and its
steps between two whole calls integrate the polynomial: the method of Adams and Bashforth, of order degree + 1, on a
grid of many small steps. iPNDM (Zhang & Chen 2022, https://arxiv.org/abs/2204.13902) and PNDM's eq. 12 are its kin. For
that one case an ``order`` of the DDIM step would say the same with fewer words. It is a cache here since the wrapper
serves every sampler and keeps each of its steps: limits of x_0, masks, fresh noise and previews come at all of them,
and nothing is assumed of what was predicted. DPM-Solver++ and UniPC extrapolate already: there a forecast is an
extrapolation of extrapolations, and fewer plain steps are better.

The guided prediction is extrapolated. Guidance is linear, u + w·(c - u), and so is extrapolation, L, so both outputs
forecast apart would give the same: L(u) + w·(L(c) - L(u)) = L(u + w·(c - u)). Rescaled guidance is not linear: there
the rescaled prediction is extrapolated.

Of φ, the timestep, half the log-SNR and σ, the first two were clearly the better variables on the trained models
(``python -m bench.forecast``). φ is finite at every level, and differs wherever ᾱ does, where timesteps may repeat.
"""

import numpy as np

from ...arrays import Floats, Sample
from ..step_cache import FORECAST_ORDER, CallPlan
from .query import Query, Sampler
from .weights import Weights, weighted_sum


def forecast(sampler: Sampler, levels: Floats, plan: CallPlan, order: int = FORECAST_ORDER) -> Sampler:
    """Run any sampler, and pass on only the queries of whole calls.

    ``levels``: ᾱ of the sample at each call. ``plan``: which calls are whole, made for this ``order``, the polynomial's
    degree. No ``StepQuery`` is passed on: a fused step returns no prediction to extrapolate.
    """
    query = next(sampler)
    known: list[tuple[float, Sample]] = []
    for call, angle in enumerate(np.arccos(np.sqrt(levels)).tolist()):
        if plan.is_whole(call):
            prediction = yield Query(*query)
            plan.observe(call, prediction)
            known = [*known, (angle, prediction)][-order - 1 :]
        else:
            nodes, predictions = zip(*known, strict=True)
            prediction = weighted_sum(lagrange(nodes, angle), *predictions)
        try:
            query = sampler.send(prediction)
        except StopIteration as end:
            result: Sample = end.value
            return result
    raise AssertionError("the sampler makes more calls than it has levels")


def lagrange(nodes: tuple[float, ...], at: float) -> Weights:
    """The weights of the values at ``nodes``, which differ, in their polynomial's value ``at``."""
    return tuple(float(np.prod([(at - other) / (node - other) for other in nodes if other != node])) for node in nodes)
