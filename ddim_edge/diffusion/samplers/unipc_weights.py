"""The weights of UniPC's two sums, from its ρ (Zhao et al. 2023, https://arxiv.org/abs/2302.04867, algorithm 5).

For order p, with r_1 … r_{p-1} as in ``unipc`` and r_p = 1, the ρ solve::

    Σ_i ρ_i·r_i^(k-1) = b_k = k!·φ_{k+1}(z)·z/B,    k from 1 to p,    φ_k(z) = Σ_j z^j/(j + k)!

with z = -h for x_0 and h for ε. UniP leaves the last ρ and the last equation out. UniP's ρ of order 2 and UniC's of
order 1 are ½, with no system to solve.
"""

import itertools
import math
from typing import Literal, NamedTuple, Protocol

import numpy as np

from ..levels import Level, Levels
from .dpmpp import lowered
from .weights import Weights

Solver = Literal["bh1", "bh2"]
TERMS = 20
"""Of the series of φ, for lengths below 1: more would not change a float64."""


class _Options(Protocol):
    """What the weights depend on: the options of ``UnipcConfig``."""

    @property
    def solver_order(self) -> int: ...
    @property
    def solver(self) -> Solver: ...
    @property
    def predict_x0(self) -> bool: ...
    @property
    def disable_corrector(self) -> tuple[int, ...]: ...
    @property
    def lower_order_final(self) -> bool: ...


class _Step(NamedTuple):
    """The parts of a step that both sums share: the weights of x and m_0 in the base, -signal'·B, and z and B."""

    keep: float
    first: float
    gain: float
    z: float
    b_h: float

    def shares(self, places: list[float], rhos: list[float], of_latest: float = 0.0) -> Weights:
        """The weights of m_0 … m_{p-1} and m_t'."""
        shares = [self.gain * rho / place for rho, place in zip(rhos, places, strict=True)]
        latest = self.gain * of_latest if of_latest else 0.0  # a step to σ = 0 has an infinite gain with bh1
        return self.first - sum(shares) - latest, *shares, latest


class Sums(NamedTuple):
    """The weights of the two sums of a call; see ``Row`` in ``unipc``."""

    keep: float
    predict: Weights
    correct: Weights


def unipc_weights(config: _Options, levels: Levels) -> list[Sums]:
    """The weights of each call's step, and of its correction of the step before; the first call corrects nothing."""
    lambdas = levels.half_log_snr.tolist()
    steps = len(levels) - 1
    orders = lowered(config.solver_order, steps, few=config.lower_order_final)
    sums: list[Sums] = []
    corrected: Weights = ()
    for step in range(steps):
        h = lambdas[step + 1] - lambdas[step]
        parts = _step(config, levels[step], levels[step + 1], h)
        places = [(lambdas[step - back] - lambdas[step]) / h for back in range(1, orders[step])] if h else []
        predicted = _filled(parts.shares(places, _predictor_rhos(parts, places)), config.solver_order)
        sums.append(Sums(parts.keep, predicted[:-1], corrected))
        if step in config.disable_corrector:
            corrected = predicted
        elif step < steps - 1:  # after the last step there is no prediction to correct with
            *rhos, of_latest = _corrector_rhos(parts, places)
            corrected = _filled(parts.shares(places, rhos, of_latest), config.solver_order)
    return sums


def folded(sums: list[Sums]) -> list[Sums]:
    """The same steps, each as one sum that begins at the sample itself.

    The correction of a step is a sum of predictions, its corrected end less its predicted one. With it a prediction
    more has a weight.
    """
    one = [Sums(sums[0].keep, (*sums[0].predict, 0.0), ())]
    for before, (keep, predict, (*corrected, latest)) in itertools.pairwise(sums):
        change = latest, *(c - p for c, p in zip(corrected, before.predict, strict=True))
        weights = [p + keep * moved for p, moved in zip((*predict, 0.0), change, strict=True)]
        one.append(Sums(keep, tuple(weights), ()))
    return one


def _filled(row: Weights, depth: int) -> Weights:
    """The weights with zeros for the predictions that a lower order does not use."""
    *used, latest = row
    return (*used, *(0.0,) * (depth - len(used)), latest)


def _step(config: _Options, now: Level, then: Level, h: float) -> _Step:
    z = -h if config.predict_x0 else h
    keep = then.noise / now.noise if config.predict_x0 else then.signal / now.signal
    scale = then.signal if config.predict_x0 else then.noise
    grown = math.expm1(z)
    b_h = grown if config.solver == "bh2" else z
    return _Step(keep, -scale * grown, -scale * b_h, z, b_h)


def _predictor_rhos(step: _Step, places: list[float]) -> list[float]:
    return [0.5] * len(places) if len(places) < 2 else _solved(step, places)


def _corrector_rhos(step: _Step, places: list[float]) -> list[float]:
    return _solved(step, [*places, 1.0]) if places else [0.5]


def _solved(step: _Step, places: list[float]) -> list[float]:
    powers = np.vander(places, increasing=True).T
    wanted = [math.factorial(k) * _phi(k + 1, step.z) * step.z / step.b_h for k in range(1, len(places) + 1)]
    rhos: list[float] = np.linalg.solve(powers, wanted).tolist()
    return rhos


def _phi(k: int, z: float) -> float:
    """φ_k: by its series where the recurrence φ_k = (φ_{k-1} - 1/(k-1)!)/z would lose digits."""
    if abs(z) < 1:
        return math.fsum(z**power / math.factorial(power + k) for power in range(TERMS))
    value = math.expm1(z) / z
    for order in range(2, k + 1):
        value = (value - 1 / math.factorial(order - 1)) / z
    return value
