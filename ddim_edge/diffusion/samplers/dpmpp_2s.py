"""DPM-Solver++, singlestep (Lu et al. 2022, https://arxiv.org/abs/2206.00927, algorithms 1 and 2; 2211.01095).

The calls come in blocks of as many as the order. A block begins at x_s, and its call k steps from x_s with the block's
predictions so far, so only its last step has the full order. With h from the block's start to the step's end, m_2, m_1,
m_0 the predicted x_0 of the block's first, second and third call, and r_1, r_0 where in h the last two stand::

    x_t' = noise'/noise_s·x_s - signal'·(e^-h - 1)·D

    call 1:  D = m_0
    call 2:  D = m_1 + 1/2·(m_0 - m_1)/r_0                        (``midpoint``; ``heun`` has c_1 for 1/2)
    call 3:  D = m_2 + c_1·(m_0 - m_2)/r_0                        (``midpoint``)
             D = m_2 + c_1·D1 + c_2·D2, the whole parabola        (``heun``)

``exponential`` has c_1 and c_2, and the forms for ε and for the SDE. Unlike the multistep form it keeps no prediction
beyond its block, so a guided network whose predictions jump does it less harm.
"""

from dataclasses import dataclass
from typing import ClassVar

from ...config import FlowSolverConfig, OdeSolverConfig
from ...config.solver import DpmSolverConfig
from ..levels import Levels
from .exponential import block_shares, corrections, integral
from .levels import ode_levels_of
from .solver import SolverSchedule
from .weights import Weights


@dataclass(frozen=True, kw_only=True)
class DpmppSinglestepConfig(DpmSolverConfig, OdeSolverConfig):
    """Options of DPM-Solver++, singlestep (Lu et al. 2022, https://arxiv.org/abs/2206.00927).

    ``lower_order_final`` is on, too, where the number of steps is no multiple of the order or the run ends at σ = 0.
    """

    name: ClassVar[str] = "dpmpp-2s"
    summary: ClassVar[str] = "singlestep in log-SNR time, order 2 unless told otherwise (Lu et al. 2022)"
    scheduler_class: ClassVar[str] = "DPMSolverSinglestepScheduler"

    lower_order_final: bool = False


@dataclass(frozen=True, kw_only=True)
class FlowSinglestepConfig(DpmSolverConfig, FlowSolverConfig):
    """Options of DPM-Solver++, singlestep, for flow matching (``use_flow_sigmas``)."""

    name: ClassVar[str] = "flow-dpmpp-2s"
    summary: ClassVar[str] = "for models of flow matching: DPM-Solver++, singlestep"
    scheduler_class: ClassVar[str] = "DPMSolverSinglestepScheduler"

    lower_order_final: bool = False


SinglestepAnyConfig = DpmppSinglestepConfig | FlowSinglestepConfig


def dpmpp_2s_schedule(config: SinglestepAnyConfig, num_steps: int, strength: float = 1.0) -> SolverSchedule:
    """The schedule of a run."""
    run = ode_levels_of(config, num_steps, strength)
    orders = _orders(config, num_steps)[-len(run.timesteps) :]
    starts = [step == 0 or order == 1 for step, order in enumerate(orders)]
    following = _weights(config, run.levels, starts)
    return SolverSchedule(config, run, following, integrates_noise=config.integrates_noise, starts=starts)


def _weights(config: DpmSolverConfig, levels: Levels, starts: list[bool]) -> list[Weights]:
    """The weights of x_s, of the block's predictions and of fresh noise, from the S+1 ends of the steps."""
    weights, lambdas, start = [], levels.half_log_snr.tolist(), 0
    for step, starts_block in enumerate(starts):
        start = step if starts_block else start
        rows = integral(config.algorithm_type, levels[start : start + 1], levels[step + 1 : step + 2])
        keep, gain, fresh, length = (float(row[0]) for row in rows)
        h = lambdas[step + 1] - lambdas[start]
        places = [(lambdas[call] - lambdas[start]) / h for call in range(step, start, -1)]
        shares = block_shares(places, *_corrections(config, length, len(places)))
        weights.append((keep, *(gain * share for share in shares[: config.solver_order]), fresh))
    return weights


def _corrections(config: DpmSolverConfig, length: float, places: int) -> tuple[float, float]:
    if places == 0:
        return 0.0, 0.0
    c_1, c_2 = corrections(length)
    if config.solver_type == "heun":
        return c_1, c_2
    return (1 / 2 if places == 1 else c_1), 0.0


def _orders(config: SinglestepAnyConfig, num_steps: int) -> list[int]:
    """The place of each call in its block, from 1; at the end blocks are shorter, as in diffusers."""
    order = config.solver_order
    lowers = config.lower_order_final or num_steps % order or config.final_sigma == "zero"
    whole, left = divmod(num_steps, order)
    if lowers and not left and order > 1:  # the last block gives one of its calls to a step of order 1
        orders = [*_blocks(order, whole - 1), *range(1, order), 1]
    else:
        orders = [*_blocks(order, whole), *range(1, left + 1)]
    if config.final_sigma == "zero":
        orders[-1] = 1
    return orders


def _blocks(order: int, count: int) -> list[int]:
    return [*range(1, order + 1)] * count
