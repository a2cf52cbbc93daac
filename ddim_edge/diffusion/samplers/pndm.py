"""PNDM (Liu, Ren, Lin, Zhao 2022, https://arxiv.org/abs/2202.09778).

Eq. 11 goes from x_t to t' along a direction ε; it is DDIM's step without noise::

    φ(x, ε, t, t') = sqrt(ᾱ_t')·(x - sqrt(1-ᾱ_t)·ε)/sqrt(ᾱ_t) + sqrt(1-ᾱ_t')·ε

The ε is more accurate than DDIM's: the linear multistep method, eq. 12, with e_i the network's prediction i steps ago::

    ε = (55·e_0 - 59·e_1 + 37·e_2 - 9·e_3) / 24

Its warm-up, with h half a step, is three pseudo Runge-Kutta steps (eq. 13), four calls each, or (reduced) one step made
twice, then formulas of rising order::

    ε = (k_1 + 2·k_2 + 2·k_3 + k_4) / 6,    k_1 at t, k_2 and k_3 at t-h, k_4 at t-2h

For a network that predicts v or x_0 the same weights combine v or x_0, as in diffusers, and ε follows from the result.
Only for ε the order of convergence is the paper's. But v can be combined where ᾱ is nearly 0, and ε cannot.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from ...arrays import Floats, Sample
from ...config import AlphaClipStrategy, NoiseScheduleConfig, Transition
from ...errors import ConfigError
from ..levels import Levels
from ..schedule import alpha_bars, final_alpha_bar, first_step, prediction_columns, select_timesteps
from .pndm_calls import full, gaps, reduced
from .query import NoiseSource, Query, Sampler
from .weights import Weights, weight_rows, weighted_sum


@dataclass(frozen=True, kw_only=True)
class PndmConfig(NoiseScheduleConfig):
    """Options of PNDM (Liu et al. 2022, https://arxiv.org/abs/2202.09778)."""

    name: ClassVar[str] = "pndm"
    summary: ClassVar[str] = "fourth-order multistep along DDIM's path (Liu et al. 2022)"
    scheduler_class: ClassVar[str] = "PNDMScheduler"

    alpha_clip_strategy: AlphaClipStrategy = "alpha_zero"
    reduce_warmup: bool = False
    """Begin with one repeated step (one call more than steps) instead of three Runge-Kutta steps (nine more)."""
    transition: Transition = "fixed_gap"
    """As in DDIM. With ``trailing`` or ``linspace`` spacing and a number of steps that does not divide T, a step ends
    where the following one begins only with ``next``."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.timestep_spacing == "quadratic":
            raise ConfigError(
                "timestep_spacing 'quadratic' does not work with pndm: its multistep weights are for even steps. "
                "Take leading, trailing or linspace"
            )


MULTISTEP = ((1.0,), (3 / 2, -1 / 2), (23 / 12, -16 / 12, 5 / 12), (55 / 24, -59 / 24, 37 / 24, -9 / 24))
"""Weights of Adams and Bashforth by order, the latest prediction first."""
RUNGE_KUTTA = (1 / 6, 1 / 3, 1 / 3, 1 / 6)

WarmUp = Generator[Query, Sample, tuple[Sample, Sample | None, list[Sample]]]
"""Returns the sample, its estimate of x_0, and the predictions so far, the latest first."""


class Call(NamedTuple):
    """One call: the weights of (sample, prediction) in x_0, then those of x and the combined predictions in φ."""

    timestep: int
    x0: Weights
    next: Weights

    def denoised(self, sample: Sample, prediction: Sample) -> Sample:
        return weighted_sum(self.x0, sample, prediction)

    def carry(self, start: Sample, combined: Sample) -> Sample:
        return weighted_sum(self.next, start, combined)


class PndmSchedule:
    """F-PNDM over ``num_steps`` steps (4 or more; reduced, 2), as one row per call; see ``DdimSchedule``."""

    def __init__(self, config: PndmConfig, num_steps: int, strength: float = 1.0) -> None:
        table = alpha_bars(config)
        steps = select_timesteps(config, num_steps)[first_step(num_steps, strength) :]
        _check_num_steps(config, len(steps))
        self.reduce_warmup = config.reduce_warmup
        gap = None if config.transition == "next" else config.num_train_steps // num_steps
        self.timesteps, starts, ends = (reduced if config.reduce_warmup else full)(steps, gaps(steps, gap))
        fed = table[self.timesteps]
        self.levels = Levels.preserving(fed)
        then = np.where(ends >= 0, table[ends], final_alpha_bar(config, table))
        x0, following = _columns(config, fed, table[starts], then)
        rows = zip(self.timesteps.tolist(), weight_rows(*x0), weight_rows(*following), strict=True)
        self.calls = [Call(*row) for row in rows]


def pndm(schedule: PndmSchedule, sample: Sample, _noise: NoiseSource | None = None) -> Sampler:
    """Sample from x_T, float32 of any shape. Deterministic: takes no noise."""
    warm_up, used = (_repeated_step, 2) if schedule.reduce_warmup else (_runge_kutta, 12)
    sample, denoised, recent = yield from warm_up(schedule.calls[:used], sample)
    for call in schedule.calls[used:]:
        prediction = yield Query(sample, call.timestep, denoised)
        denoised = call.denoised(sample, prediction)
        recent = [prediction, *recent[:3]]
        sample = call.carry(sample, weighted_sum(MULTISTEP[len(recent) - 1], *recent))
    return sample


def _runge_kutta(calls: Sequence[Call], sample: Sample) -> WarmUp:
    denoised, recent = None, list[Sample]()
    for first in range(0, len(calls), 4):
        start, predictions = sample, list[Sample]()
        for call in calls[first : first + 4]:
            prediction = yield Query(sample, call.timestep, denoised)
            denoised = call.denoised(sample, prediction)
            predictions.append(prediction)
            sample = call.carry(start, prediction if len(predictions) < 4 else weighted_sum(RUNGE_KUTTA, *predictions))
        recent.insert(0, predictions[0])
    return sample, denoised, recent


def _repeated_step(calls: Sequence[Call], start: Sample) -> WarmUp:
    first = yield Query(start, calls[0].timestep, None)
    trial = calls[0].carry(start, first)
    second = yield Query(trial, calls[1].timestep, calls[0].denoised(start, first))
    sample = calls[1].carry(start, weighted_sum((1 / 2, 1 / 2), first, second))
    return sample, calls[1].denoised(trial, second), [first]


def _columns(
    config: PndmConfig, fed: Floats, now: Floats, then: Floats
) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
    """The columns of the two sums of ``Call``, from ᾱ that the network is fed and where φ starts and ends."""
    x0_x, x0_p, _, _ = prediction_columns(config, Levels.preserving(fed))
    start_x0_x, start_x0_p, start_eps_x, start_eps_p = prediction_columns(config, Levels.preserving(now))
    signal, direction = np.sqrt(then), np.sqrt(1 - then)
    next_x, next_p = signal * start_x0_x + direction * start_eps_x, signal * start_x0_p + direction * start_eps_p
    return (x0_x, x0_p), (next_x, next_p)


def _check_num_steps(config: PndmConfig, num_steps: int) -> None:
    if config.reduce_warmup and num_steps < 2:
        raise ConfigError(f"pndm with reduce_warmup needs at least 2 steps, not {num_steps}: take more")
    if not config.reduce_warmup and num_steps < 4:
        hint = "take more, or set reduce_warmup, which needs 2"
        raise ConfigError(f"pndm with its Runge-Kutta warm-up needs at least 4 steps, not {num_steps}: {hint}")
