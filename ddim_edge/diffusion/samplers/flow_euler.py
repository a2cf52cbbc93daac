"""Euler's method for flow matching (Lipman et al. 2023, https://arxiv.org/abs/2210.02747; SD3, Flux, Sana).

The network predicts the velocity p = ε - x_0 of x_t = (1-t)·x_0 + t·ε, and a step follows it::

    x_t' = x_t + (t' - t)·p

With ``stochastic_sampling`` it goes to x_0 and back to t' with fresh noise: x_t' = (1-t')·x_0 + t'·z.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...arrays import Floats
from ...config import FlowConfig
from ..levels import Levels
from .euler import EulerSchedule, all_kept


@dataclass(frozen=True, kw_only=True)
class FlowEulerConfig(FlowConfig):
    """Options of Euler's method for flow matching (Esser et al. 2024, https://arxiv.org/abs/2403.03206)."""

    name: ClassVar[str] = "flow-euler"
    summary: ClassVar[str] = "for models of flow matching: Euler along the straight path"
    scheduler_class: ClassVar[str] = "FlowMatchEulerDiscreteScheduler"
    usual_steps: ClassVar[int] = 28

    stochastic_sampling: bool = False
    """Go to x_0 at every step, and back with fresh noise."""

    @property
    def is_stochastic(self) -> bool:
        """Whether steps add fresh noise."""
        return self.stochastic_sampling


def flow_euler_schedule(config: FlowEulerConfig, num_steps: int, strength: float = 1.0) -> EulerSchedule:
    """The schedule of a run."""
    return EulerSchedule(config, num_steps, strength, kept=none_kept if config.stochastic_sampling else all_kept)


def none_kept(levels: Levels) -> Floats:
    """The noise of each step's end that is the sample's: all of it is fresh."""
    return np.zeros(len(levels) - 1)
