"""DPM-Solver++, multistep (Lu et al. 2022, https://arxiv.org/abs/2211.01095, algorithm 2).

In log-SNR time λ, with h = λ_t' - λ_t the length of this step, h_0 and h_1 those before it, and m_0, m_1, m_2 the
predicted x_0 of this call and of those before::

    x_t' = noise'/noise·x_t - signal'·(e^-h - 1)·D

    order 1:  D = m_0                                             (a step of DDIM)
    order 2:  D = m_0 + h/(2·h_0)·(m_0 - m_1)                     (``midpoint``; ``heun`` has c_1 for 1/2)
    order 3:  D = m_0 + c_1·D1 + c_2·D2, with r_0 = h_0/h, r_1 = h_1/h
              d_0 = (m_0 - m_1)/r_0,  d_1 = (m_1 - m_2)/r_1
              D1 = d_0 + r_0·D2,      D2 = (d_0 - d_1)/(r_0 + r_1)

``exponential`` has c_1 and c_2, and the forms for ε and for the SDE. The first step has order 1 and the second at most
2; the last one has order 1 if it goes to σ = 0 or if there are few steps.

D2 of order 3, as published, is half of what the integral of the parabola needs. So its error falls with the second
power of the number of steps, not with the third; ``deis`` has the parabola.
"""

from dataclasses import dataclass
from typing import ClassVar

from ...config import EdmConfig, FlowSolverConfig, OdeSolverConfig
from ...config.solver import Algorithm, DpmSolverConfig
from ..levels import Levels
from .exponential import corrections, integral, multistep_shares
from .levels import ode_levels_of
from .solver import SolverSchedule
from .weights import Weights


@dataclass(frozen=True, kw_only=True)
class DpmppOptions(DpmSolverConfig):
    """Options of the multistep form, for any family of models."""

    euler_at_final: bool = False
    """Make the last step of first order, however many steps there are."""


@dataclass(frozen=True, kw_only=True)
class DpmppConfig(DpmppOptions, OdeSolverConfig):
    """Options of DPM-Solver++, multistep (Lu et al. 2022, https://arxiv.org/abs/2211.01095).

    ``lower_order_final`` has an effect below 15 steps; a step to σ = 0 is always of first order.
    """

    name: ClassVar[str] = "dpmpp-2m"
    summary: ClassVar[str] = "multistep in log-SNR time, order 2 unless told otherwise (Lu et al. 2022)"
    scheduler_class: ClassVar[str] = "DPMSolverMultistepScheduler"
    truncates_cosine_timesteps: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True)
class EdmDpmppConfig(DpmppOptions, EdmConfig):
    """Options of DPM-Solver++, multistep, for EDM's models (Karras et al. 2022, https://arxiv.org/abs/2206.00364)."""

    name: ClassVar[str] = "edm-dpmpp-2m"
    summary: ClassVar[str] = "for models with EDM's preconditioning: DPM-Solver++, multistep"
    scheduler_class: ClassVar[str] = "EDMDPMSolverMultistepScheduler"


@dataclass(frozen=True, kw_only=True)
class FlowDpmppConfig(DpmppOptions, FlowSolverConfig):
    """Options of DPM-Solver++, multistep, for flow matching (``use_flow_sigmas``, as Sana ships it)."""

    name: ClassVar[str] = "flow-dpmpp-2m"
    summary: ClassVar[str] = "for models of flow matching: DPM-Solver++, multistep"
    scheduler_class: ClassVar[str] = "DPMSolverMultistepScheduler"


DpmppAnyConfig = DpmppConfig | EdmDpmppConfig | FlowDpmppConfig

FEW_STEPS = 15
"""``lower_order_final`` has an effect below this number of steps."""


def dpmpp_schedule(config: DpmppAnyConfig, num_steps: int, strength: float = 1.0) -> SolverSchedule:
    """The schedule of a run."""
    run = ode_levels_of(config, num_steps, strength)
    orders = _orders(config, len(run.timesteps), num_steps)
    following = multistep_weights(config.algorithm_type, run.levels, orders, midpoint=config.solver_type == "midpoint")
    return SolverSchedule(config, run, following, integrates_noise=config.integrates_noise)


def multistep_weights(
    algorithm: Algorithm, levels: Levels, orders: list[int], *, midpoint: bool = False, of_d2: float = 1.0
) -> list[Weights]:
    """The weights of x_t, of the latest predictions and of fresh noise, from the S+1 ends of the steps.

    ``midpoint``: whether c_1 of order 2 is 1/2. ``of_d2``: what c_2 is multiplied by.
    """
    rows = integral(algorithm, levels[:-1], levels[1:])
    h = (levels[1:].half_log_snr - levels[:-1].half_log_snr).tolist()
    weights = []
    for step, (keep, gain, fresh, length) in enumerate(zip(*(row.tolist() for row in rows), strict=True)):
        before = [h[step - back] for back in range(1, orders[step])]
        c_1, c_2 = corrections(length) if before else (0.0, 0.0)
        if midpoint and len(before) == 1:
            c_1 = 1 / 2
        shares = multistep_shares(h[step], before, c_1, of_d2 * c_2)
        weights.append((keep, *(gain * share for share in shares[: max(orders)]), fresh))
    return weights


def _orders(config: DpmppAnyConfig, steps: int, num_steps: int) -> list[int]:
    few = config.lower_order_final and num_steps < FEW_STEPS
    orders = lowered(config.solver_order, steps, few=few)
    if config.euler_at_final or config.final_sigma == "zero":
        orders[-1] = 1
    return orders


def lowered(order: int, steps: int, *, few: bool) -> list[int]:
    """The order of each step: as many as there are predictions, and with ``few`` no more than there are steps left."""
    return [min(order, step + 1, steps - step if few else order) for step in range(steps)]
