"""iPNDM of order 4, for models such as Dance Diffusion (Zhang & Chen 2022, https://arxiv.org/abs/2204.13902, sec. 4).

The levels are angles: signal = cos φ, noise = sin φ, and the network is fed t = 2φ/π, from 1 (noise) to 0. Those of a
run of S steps have noise = sin²(π/2·s) with s = 1, 1 - 1/S, … 0. Adams and Bashforth's weights a extrapolate ε, and the
step is DDIM's with it::

    x_t' = signal'·(x_t - noise·e)/signal + noise'·e,    e = a_0·ε_0 + a_1·ε_1 + a_2·ε_2 + a_3·ε_3

The first steps have orders 1, 2 and 3. At t = 1 there is no signal, and ε is x itself: that step is x_t' = noise'·x_t,
whatever the network says.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from ...config import SamplerOptions
from ...config.sampler_options import Family
from ...errors import ConfigError
from ..levels import Level, Levels
from ..schedule import first_step
from .pndm import MULTISTEP
from .query import Run
from .solver import SolverSchedule
from .weights import Weights

LOWEST_SIGNAL = 1e-8
"""Below it there is no signal, as in diffusers."""


@dataclass(frozen=True, kw_only=True)
class IpndmConfig(SamplerOptions):
    """Options of iPNDM (Zhang & Chen 2022, https://arxiv.org/abs/2204.13902)."""

    name: ClassVar[str] = "ipndm"
    summary: ClassVar[str] = "for models whose levels are angles, such as Dance Diffusion: multistep of order 4"
    scheduler_class: ClassVar[str] = "IPNDMScheduler"
    family: ClassVar[Family] = "angle"

    prediction_type: Literal["angular_velocity"] = "angular_velocity"
    """The network returns v = cos φ·ε - sin φ·x_0."""


def ipndm_schedule(config: IpndmConfig, num_steps: int, strength: float = 1.0) -> SolverSchedule:
    """The schedule of a run."""
    run = _run(num_steps).after(first_step(num_steps, strength))
    ends = list(run.levels)
    if len(ends) == 2 and ends[0].signal < LOWEST_SIGNAL:
        raise ConfigError("ipndm needs at least 2 steps: its step from noise alone does not ask the network. Take more")
    following = [_weights(ends[step], ends[step + 1], min(step + 1, 4)) for step in range(len(ends) - 1)]
    return SolverSchedule(config, run, following, integrates_noise=True)


def _run(num_steps: int) -> Run:
    noise = np.sin(np.linspace(1, 0, num_steps + 1) * np.pi / 2) ** 2
    levels = Levels(np.sqrt(1 - noise**2), noise)
    return Run(np.arctan2(levels.noise, levels.signal)[:-1] * 2 / np.pi, levels)


def _weights(now: Level, then: Level, order: int) -> Weights:
    """The weights of x_t, the latest four ε and no fresh noise."""
    unused = (0.0,) * (4 - order)
    if now.signal < LOWEST_SIGNAL:
        return then.noise, 0.0, *(0.0,) * order, *unused
    keep = then.signal / now.signal
    gain = then.noise - keep * now.noise
    return keep, *(gain * weight for weight in MULTISTEP[order - 1]), *unused, 0.0
