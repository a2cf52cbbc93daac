"""Heun's method in σ (Karras et al. 2022, https://arxiv.org/abs/2206.00364, algorithm 1; algorithm 2 without churn).

With x̃ = x/signal and the derivative d(x̃, σ) = (x̃ - x_0(x̃))/σ, a step is Euler's, corrected by the derivative at its
end::

    x̃_1 = x̃ + (σ' - σ)·d(x̃, σ)
    x̃'  = x̃ + (σ' - σ)·(d(x̃, σ) + d(x̃_1, σ'))/2

The last step, to σ' = 0, is Euler's alone. A run of S steps makes 2·S - 1 calls, and its error falls with their square.

For flow matching the same steps are made in t: x in place of x̃, and (x - x_0)/t = ε - x_0, which is the prediction.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...config import ClipConfig, FlowConfig, NoiseLevelsConfig, RealTimeConfig, SamplerOptions
from .run_levels import levels_of
from .slopes import scales
from .two_calls import TwoCallSchedule, euler_rows, interleaved, interleaved_levels
from .weights import weight_rows


@dataclass(frozen=True, kw_only=True)
class HeunConfig(RealTimeConfig, NoiseLevelsConfig, ClipConfig):
    """Options of Heun's method in σ (Karras et al. 2022, https://arxiv.org/abs/2206.00364, algorithm 1)."""

    name: ClassVar[str] = "heun"
    summary: ClassVar[str] = "second order, two calls a step (Karras et al. 2022)"
    scheduler_class: ClassVar[str] = "HeunDiscreteScheduler"
    usual_steps: ClassVar[int] = 25

    beta_start: float = 0.00085
    beta_end: float = 0.012
    clip_denoised_sample: bool = False


@dataclass(frozen=True, kw_only=True)
class FlowHeunConfig(FlowConfig):
    """Options of Heun's method for flow matching (Karras et al. 2022, algorithm 1, in t)."""

    name: ClassVar[str] = "flow-heun"
    summary: ClassVar[str] = "for models of flow matching: second order, two calls a step"
    scheduler_class: ClassVar[str] = "FlowMatchHeunDiscreteScheduler"
    usual_steps: ClassVar[int] = 14


def heun_schedule(config: SamplerOptions, num_steps: int, strength: float = 1.0) -> TwoCallSchedule:
    """Heun over ``num_steps`` steps, for any family of levels."""
    timesteps, levels = levels_of(config, num_steps, strength)
    scale = scales(config, levels)
    length = np.diff(levels.noise / scale)
    first = euler_rows(scale[:-1], scale[1:], length)
    half, then = length[:-1] / 2, scale[1:-1]
    second = weight_rows(then / scale[:-2], then * half, then * half, 0 * half)
    calls = interleaved_levels(levels[:-1], levels[1:-1])
    return TwoCallSchedule(config, interleaved(timesteps, timesteps[1:]), calls, first, second)
