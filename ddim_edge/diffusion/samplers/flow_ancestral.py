"""Stochastic forms of Euler's method for flow matching: ancestral (LTX), and to x_0 and back (LCM).

The ancestral step follows the path to t_down below t', scales x_0's share to that of t', and adds fresh noise
(diffusers' ``LTXEulerAncestralRFScheduler``)::

    t_down = t'·(1 + η·(t'/t - 1)),    x' = (1-t')/(1-t_down)·x_{t_down} + ς·z,    z ~ N(0, I)

with ς² = t'² - (t_down·(1-t')/(1-t_down))², so that x' has the noise of t'. With η = 0 it is ``flow-euler``.

LCM's step goes to x_0 and adds noise of t' (Luo et al. 2023, https://arxiv.org/abs/2310.04378): x' = (1-t')·x_0 + t'·z.
"""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from ...arrays import Floats
from ...config import FlowConfig, number
from ..levels import Levels
from .euler import EulerSchedule
from .flow_euler import none_kept


@dataclass(frozen=True, kw_only=True)
class FlowAncestralConfig(FlowConfig):
    """Options of Euler's method for flow matching with fresh noise at every step but the last."""

    name: ClassVar[str] = "flow-euler-a"
    summary: ClassVar[str] = "for models of flow matching: Euler with fresh noise"
    scheduler_class: ClassVar[str] = "LTXEulerAncestralRFScheduler"
    usual_steps: ClassVar[int] = 28
    shifts_given: ClassVar[bool] = False

    eta: float = 1.0
    """How far below t' a step goes before it adds noise: 0 adds none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        number("eta", self.eta, low=0, high=1)

    @property
    def is_stochastic(self) -> bool:
        """Whether steps add fresh noise."""
        return self.eta > 0


@dataclass(frozen=True, kw_only=True)
class FlowLcmConfig(FlowConfig):
    """Options of the sampler of models of flow matching that were distilled to consistency."""

    name: ClassVar[str] = "flow-lcm"
    summary: ClassVar[str] = "for models of flow matching distilled to consistency: 1 to 8 steps"
    scheduler_class: ClassVar[str] = "FlowMatchLCMScheduler"
    usual_steps: ClassVar[int] = 4

    @property
    def is_stochastic(self) -> bool:
        """True: a step adds fresh noise."""
        return True


def flow_ancestral_schedule(config: FlowAncestralConfig, num_steps: int, strength: float = 1.0) -> EulerSchedule:
    """The ancestral form's schedule."""
    return EulerSchedule(config, num_steps, strength, kept=partial(_ancestral_kept, eta=config.eta))


def flow_lcm_schedule(config: FlowLcmConfig, num_steps: int, strength: float = 1.0) -> EulerSchedule:
    """The schedule of LCM for flow matching."""
    return EulerSchedule(config, num_steps, strength, kept=none_kept)


def _ancestral_kept(levels: Levels, eta: float) -> Floats:
    """t_down·(1-t')/(1-t_down)."""
    now, then = levels.noise[:-1], levels.noise[1:]
    down = then * (1 + eta * (then / now - 1))
    return down * (1 - then) / (1 - down)
