"""Euler's method for EDM's models (Karras et al. 2022, https://arxiv.org/abs/2206.00364, algorithm 2 without churn).

The network F is fed x = c_in·x̃ and c_noise, of x̃ = x_0 + σ·ε, and x_0 = c_skip·x̃ + c_out·F, with table 1's::

    c_in = 1/sqrt(σ² + σ_data²),  c_noise = ¼·log(σ),  c_skip = σ_data²·c_in²,  c_out = σ·σ_data·c_in

The sample is kept as x, so its level is the pair (c_in, σ·c_in), and the step is that of ``euler``.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, Protocol

from ...arrays import Sample
from ...config import EdmConfig, SamplerOptions
from .query import Schedule


@dataclass(frozen=True, kw_only=True)
class EdmEulerConfig(EdmConfig):
    """Options of Euler's method for EDM's models (Karras et al. 2022, https://arxiv.org/abs/2206.00364)."""

    name: ClassVar[str] = "edm-euler"
    summary: ClassVar[str] = "for models with EDM's preconditioning: Euler in σ"
    scheduler_class: ClassVar[str] = "EDMEulerScheduler"


class _EdmSchedule(Schedule, Protocol):
    @property
    def config(self) -> SamplerOptions:
        """An EdmConfig."""


def edm_first_sample(schedule: _EdmSchedule, noise: Sample) -> Sample:
    """x_T from standard normal noise, as in diffusers: x̃ = sqrt(σ_max² + 1)·z."""
    config = schedule.config
    assert isinstance(config, EdmConfig)
    return math.sqrt(config.sigma_max**2 + 1) * schedule.levels[0].signal * noise
