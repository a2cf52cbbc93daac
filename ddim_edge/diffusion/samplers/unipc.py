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

The corrected sample and the predicted one differ by a sum of predictions, so both sums of a call can be one, which
begins at the predicted sample. Order 3 is made so, which takes less time; orders 1 and 2 have two sums, on whose
rounding pictures depend.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from ...arrays import Sample
from ...config import FlowSolverConfig, OdeSolverConfig
from ...config.checks import whole_number
from ...config.solver import HIGHEST_ORDER, MultistepConfig
from ...errors import ConfigError, shown
from ..clipping import limit_of
from .levels import ode_levels_of
from .query import NoiseSource, Query, Sampler
from .solver import call_rows
from .unipc_weights import Solver, folded, unipc_weights
from .weights import Weights, added, aligned_like, weighted_sum


@dataclass(frozen=True, kw_only=True)
class UnipcOptions(MultistepConfig):
    """Options of UniPC, for any family of models."""

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
        if getattr(self, "final_sigma", "zero") == "zero" and not (self.lower_order_final and self.predict_x0):
            raise ConfigError(
                "final_sigma 'zero' needs lower_order_final and predict_x0: a step of infinite length in log-SNR can "
                "have neither order 2 nor an extrapolated ε. Take final_sigma 'sigma_min', or leave both on"
            )


@dataclass(frozen=True, kw_only=True)
class UnipcConfig(UnipcOptions, OdeSolverConfig):
    """Options of UniPC (Zhao et al. 2023, https://arxiv.org/abs/2302.04867)."""

    name: ClassVar[str] = "unipc"
    summary: ClassVar[str] = (
        "predictor with a corrector that costs no call, order 2 unless told otherwise (Zhao et al. 2023)"
    )
    scheduler_class: ClassVar[str] = "UniPCMultistepScheduler"
    ends_at_last_level: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dynamic_threshold_ratio is not None and not self.predict_x0:
            raise ConfigError("dynamic_threshold_ratio needs predict_x0: with ε no x_0 is limited. Leave one out")


@dataclass(frozen=True, kw_only=True)
class FlowUnipcConfig(UnipcOptions, FlowSolverConfig):
    """Options of UniPC for flow matching (``use_flow_sigmas``, as Wan ships it)."""

    name: ClassVar[str] = "flow-unipc"
    summary: ClassVar[str] = "for models of flow matching: UniPC"
    scheduler_class: ClassVar[str] = "UniPCMultistepScheduler"
    starts_at_noise: ClassVar[bool] = True


class Row(NamedTuple):
    """One call: the weights of (x, prediction) in x_0, of (x, prediction, x_0) in ε, and of the two sums of a step.

    Both sums begin with ``keep`` times the step's first sample. ``predict``: of the predictions with this one, the
    latest first. ``correct``: of the predictions before this one and of this one, for the step that led here, of which
    the sum has been begun; empty where the correction is part of ``predict``.
    """

    timestep: float
    x0: Weights
    eps: Weights
    keep: float
    predict: Weights
    correct: Weights


class UnipcSchedule:
    """UniPC over ``num_steps`` steps; see ``DdimSchedule`` for the attributes."""

    def __init__(self, config: UnipcConfig | FlowUnipcConfig, num_steps: int, strength: float = 1.0) -> None:
        run = ode_levels_of(config, num_steps, strength)
        self.timesteps, self.levels = run.timesteps, run.levels[:-1]
        self.limit = limit_of(config)
        calls = call_rows(config, run, integrates_noise=not config.predict_x0)
        sums = unipc_weights(config, run.levels)
        if config.solver_order == HIGHEST_ORDER:
            sums = folded(sums)
        self.rows = [Row(*call, *weights) for call, weights in zip(calls, sums, strict=True)]
        self.depth = len(sums[0].predict)


def unipc(schedule: UnipcSchedule, sample: Sample, _noise: NoiseSource | None = None) -> Sampler:
    """Sample from x_T, float32 of any shape. Deterministic: takes no noise."""
    product, kept = aligned_like(sample, 2)
    denoised: Sample | None = None
    latest: list[Sample | None] = [None] * schedule.depth
    for row in schedule.rows:
        prediction = yield Query(sample, row.timestep, denoised)
        denoised = weighted_sum(row.x0, sample, prediction, product=product)
        if schedule.limit:
            denoised = schedule.limit(denoised)
        integrated = denoised
        if row.eps:
            integrated = weighted_sum(row.eps, sample, prediction, denoised, product=product)
        start = added(kept, row.correct, *latest, integrated, into=kept, product=product) if row.correct else sample
        latest = [integrated, *latest[:-1]]
        np.multiply(start, row.keep, out=kept)
        sample = added(kept, row.predict, *latest, product=product)
    return sample
