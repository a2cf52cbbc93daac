"""UniPC (Zhao et al. 2023, https://arxiv.org/abs/2302.04867, algorithms 5 to 8).

Time is λ, the half log-SNR; h is the length in λ of this step, and m_i the predicted x_0 of the call i steps ago, which
stands at r_i = (λ_i - λ_0)/h. Predictor and corrector add a correction to DDIM's step, with B(h) = -h (``bh1``) or
e^-h - 1 (``bh2``)::

    base = noise'/noise·x_t - signal'·(e^-h - 1)·m_0
    UniP:  x_t' = base - signal'·B·Σ ρ_i·(m_i - m_0)/r_i
    UniC:  x_t' = base - signal'·B·(Σ ρ_i·(m_i - m_0)/r_i + ρ_p·(m_t' - m_0)),    i from 1 to the order p less one

UniC repeats the step with m_t', the prediction at its end. It costs no call: no prediction is made at the corrected
sample. The first steps have lower orders, and the last ones can have, too. With ``predict_x0`` off, m is the predicted
ε: noise' and signal' change places, and h is -h in B and ρ. ``unipc_weights`` has the ρ.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from ...arrays import Sample
from ...config import OdeSolverConfig
from ...config.checks import whole_number
from ...errors import ConfigError, shown
from ..clipping import limit_of
from .levels import ode_levels_of
from .query import NoiseSource, Query, Sampler
from .solver import call_rows
from .unipc_weights import Solver, unipc_weights
from .weights import Weights, weighted_sum


@dataclass(frozen=True, kw_only=True)
class UnipcConfig(OdeSolverConfig):
    """Options of UniPC (Zhao et al. 2023, https://arxiv.org/abs/2302.04867)."""

    name: ClassVar[str] = "unipc"
    summary: ClassVar[str] = (
        "predictor with a corrector that costs no call, order 2 unless told otherwise (Zhao et al. 2023)"
    )
    scheduler_class: ClassVar[str] = "UniPCMultistepScheduler"
    ends_at_last_level: ClassVar[bool] = True

    solver: Solver = "bh2"
    """B(h) of the paper: ``bh1`` h, ``bh2`` e^h - 1."""
    predict_x0: bool = True
    """Extrapolate the predicted x_0; off, ε."""
    disable_corrector: tuple[int, ...] = ()
    """The steps, from 0, that are not corrected."""

    def _normalize(self) -> None:
        super()._normalize()
        if not isinstance(self.disable_corrector, (list, tuple)):
            raise ConfigError(f"disable_corrector must be a list of steps, not {shown(self.disable_corrector)}")
        object.__setattr__(self, "disable_corrector", tuple(self.disable_corrector))

    def __post_init__(self) -> None:
        super().__post_init__()
        for step in self.disable_corrector:
            whole_number("disable_corrector", step, low=0)
        if self.final_sigma == "zero" and not (self.lower_order_final and self.predict_x0):
            raise ConfigError(
                "final_sigma 'zero' needs lower_order_final and predict_x0: a step of infinite length in log-SNR can "
                "have neither order 2 nor an extrapolated ε. Take final_sigma 'sigma_min', or leave both on"
            )
        if self.dynamic_threshold_ratio is not None and not self.predict_x0:
            raise ConfigError("dynamic_threshold_ratio needs predict_x0: with ε no x_0 is limited. Leave one out")


class Row(NamedTuple):
    """One call: the weights of (x, prediction) in x_0, of (x, x_0) in ε, and of the two sums of a step.

    ``correct``: of the sample before the last step, the predictions before this one, the latest first, and this one.
    ``predict``: of the corrected sample and the predictions with this one.
    """

    timestep: float
    x0: Weights
    eps: Weights
    correct: Weights
    predict: Weights


class UnipcSchedule:
    """UniPC over ``num_steps`` steps; see ``DdimSchedule`` for the attributes."""

    def __init__(self, config: UnipcConfig, num_steps: int, strength: float = 1.0) -> None:
        run = ode_levels_of(config, num_steps, strength)
        self.timesteps, self.levels = run.timesteps, run.levels[:-1]
        self.order, self.limit = config.solver_order, limit_of(config)
        calls = call_rows(config, run, integrates_noise=not config.predict_x0)
        predictors, correctors = unipc_weights(config, run.levels)
        self.rows = [
            Row(*call, correct, predict) for call, correct, predict in zip(calls, correctors, predictors, strict=True)
        ]


def unipc(schedule: UnipcSchedule, sample: Sample, _noise: NoiseSource | None = None) -> Sampler:
    """Sample from x_T, float32 of any shape. Deterministic: takes no noise."""
    start = sample
    own: Sample | None = None  # the memory of start, once it is no longer the caller's
    product = np.empty_like(sample)
    denoised: Sample | None = None
    latest: list[Sample | None] = [None] * schedule.order
    for row in schedule.rows:
        prediction = yield Query(sample, row.timestep, denoised)
        denoised = weighted_sum(row.x0, sample, prediction, product=product)
        if schedule.limit:
            denoised = schedule.limit(denoised)
        integrated = weighted_sum(row.eps, sample, denoised, product=product) if row.eps else denoised
        start = own = weighted_sum(row.correct, start, *latest, integrated, into=own, product=product)
        latest = [integrated, *latest[:-1]]
        sample = weighted_sum(row.predict, start, *latest, product=product)
    return sample
