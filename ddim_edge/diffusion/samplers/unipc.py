"""UniPC of order 2 (Zhao et al. 2023, https://arxiv.org/abs/2302.04867, algorithms 5 to 8, data prediction).

Time is λ, the half log-SNR; h and h_0 are the lengths in λ of this step and of the one before, m the predicted x_0.
Predictor and corrector add a correction to DDIM's step, with r = h/h_0 and B(h) = -h (``bh1``) or e^-h - 1 (``bh2``)::

    base = noise'/noise·x_t - signal'·(e^-h - 1)·m_0
    UniP:  x_t' = base - signal'·B·½·r·(m_0 - m_1)
    UniC:  x_t' = base - signal'·B·(ρ_1·r·(m_0 - m_1) + ρ_2·(m_t' - m_0))

UniC repeats the step with m_t', the prediction at its end. It costs no call: no prediction is made at the corrected
sample. The first step has order 1 (no m_1; ρ_2 = ½), and the last one can have, too.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from ...arrays import Sample
from ...config import OdeSolverConfig
from ...errors import ConfigError
from ..clipping import limit_of
from ..levels import Level
from ..schedule import prediction_columns
from .levels import ode_levels_of
from .query import NoiseSource, Query, Sampler, times
from .weights import Weights, weight_rows, weighted_sum

Solver = Literal["bh1", "bh2"]


@dataclass(frozen=True, kw_only=True)
class UnipcConfig(OdeSolverConfig):
    """Options of UniPC of order 2 (Zhao et al. 2023, https://arxiv.org/abs/2302.04867)."""

    name: ClassVar[str] = "unipc"
    summary: ClassVar[str] = "predictor of order 2 with a corrector that costs no call (Zhao et al. 2023)"
    scheduler_class: ClassVar[str] = "UniPCMultistepScheduler"
    ends_at_last_level: ClassVar[bool] = True

    solver: Solver = "bh2"
    """B(h) of the paper: ``bh1`` h, ``bh2`` e^h - 1."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.final_sigma == "zero" and not self.lower_order_final:
            raise ConfigError(
                "final_sigma 'zero' needs lower_order_final: a step of infinite length in log-SNR cannot have order 2. "
                "Take final_sigma 'sigma_min', or leave lower_order_final on"
            )


class UnipcSchedule:
    """UniPC over ``num_steps`` steps; see ``DdimSchedule`` for the attributes.

    ``predictors`` has the weights of (x_t, m_0, m_1, m_t') of each step, ``correctors`` those of its correction.
    """

    def __init__(self, config: UnipcConfig, num_steps: int, strength: float = 1.0) -> None:
        self.timesteps, levels = ode_levels_of(config, num_steps, strength)
        self.levels = levels[:-1]
        x0_x, x0_p, _, _ = prediction_columns(config, self.levels)
        self.from_prediction = weight_rows(x0_x, x0_p)
        self.predictors, self.correctors = _tables(config, list(levels), levels.half_log_snr.tolist())
        self.limit = limit_of(config)

    def denoised(self, step: int, sample: Sample, prediction: Sample) -> Sample:
        """The predicted x_0 at ``step``."""
        estimate = weighted_sum(self.from_prediction[step], sample, prediction)
        return self.limit(estimate) if self.limit else estimate


def unipc(schedule: UnipcSchedule, sample: Sample, _noise: NoiseSource | None = None) -> Sampler:
    """Sample from x_T, float32 of any shape. Deterministic: takes no noise."""
    start = sample
    m0: Sample | None = None
    m1: Sample | None = None
    for step, timestep in enumerate(times(schedule.timesteps)):
        prediction = yield Query(sample, timestep, m0)
        latest = schedule.denoised(step, sample, prediction)
        if m0 is not None:
            sample = weighted_sum(schedule.correctors[step - 1], start, m0, m1, latest)
        start, m0, m1 = sample, latest, m0
        sample = weighted_sum(schedule.predictors[step], start, m0, m1, None)
    return sample


def _tables(config: UnipcConfig, levels: list[Level], lambdas: list[float]) -> tuple[list[Weights], list[Weights]]:
    last = len(levels) - 2
    predictors, correctors = [], []
    for step in range(last + 1):
        h = lambdas[step + 1] - lambdas[step]
        first_order = step == 0 or (step == last and config.lower_order_final)
        ratio = 0.0 if first_order else h / (lambdas[step] - lambdas[step - 1])
        base, gain = _base(levels[step], levels[step + 1], h, config.solver)
        predictors.append(_weights(base, gain, ratio, rho_1=0.5, rho_2=0.0))
        if step < last:  # after the last step there is no prediction to correct with
            correctors.append(_weights(base, gain, ratio, *_rhos(h, ratio, config.solver)))
    return predictors, correctors


def _base(now: Level, then: Level, h: float, solver: str) -> tuple[tuple[float, float], float]:
    """The weights of x_t and m_0 in the shared DDIM step, and -signal'·B."""
    keep = then.noise / now.noise, -then.signal * math.expm1(-h)
    return keep, (keep[1] if solver == "bh2" else then.signal * h)


def _weights(base: tuple[float, float], gain: float, ratio: float, rho_1: float, rho_2: float) -> Weights:
    difference = gain * rho_1 * ratio if ratio else 0.0  # a step to ᾱ = 1 has an infinite gain with bh1
    latest = gain * rho_2 if rho_2 else 0.0
    return base[0], base[1] + difference - latest, -difference, latest


def _rhos(h: float, ratio: float, solver: str) -> tuple[float, float]:
    """ρ_1 and ρ_2, which solve ρ_1 + ρ_2 = b_1 and -ρ_1/r + ρ_2 = b_2 (algorithm 5's R·ρ = b)."""
    if ratio == 0:
        return 0.0, 0.5
    b_h = math.expm1(-h) if solver == "bh2" else -h
    phi_2 = math.expm1(-h) / -h - 1
    b_1, b_2 = phi_2 / b_h, 2 * (phi_2 / -h - 0.5) / b_h
    rho_1 = (b_1 - b_2) / (1 + 1 / ratio)
    return rho_1, b_1 - rho_1
