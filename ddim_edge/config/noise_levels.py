"""Options of the samplers that step through noise levels σ."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from ..errors import ConfigError
from .checks import number
from .noise_schedule import ThresholdConfig, TimestepSpacing
from .sampler_options import SamplerOptions
from .sigma_spacing import SigmaSpacingConfig

LOWEST_SIGMA, HIGHEST_SIGMA = 1e-5, 1e5
"""Bounds of ``sigma_min`` and ``sigma_max``: ᾱ = 1/(1 + σ²) must differ clearly from 1 and from 0."""

FinalSigma = Literal["zero", "sigma_min"]


@dataclass(frozen=True, kw_only=True)
class RealTimeConfig(SamplerOptions):
    """Options of samplers whose levels can be between two timesteps."""

    whole_timesteps: bool = False
    """Feed the network the nearest whole timestep instead of a fractional one. A model whose network takes whole
    numbers alone turns it on."""


@dataclass(frozen=True, kw_only=True)
class NoiseLevelsConfig(SigmaSpacingConfig, ThresholdConfig):
    """Options that choose the noise levels σ of a run."""

    timestep_spacing: TimestepSpacing = "linspace"
    sigma_min: float | None = None
    sigma_max: float | None = None
    """The ends of Karras, exponential and beta levels. Default: the schedule's; a cosine's σ_max is too high to be
    useful."""
    final_sigma: FinalSigma = "zero"
    """σ after the last step: 0 (``zero``) or the first timestep's (``sigma_min``)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("sigma_min", "sigma_max"):
            level = getattr(self, name)
            if level is not None:
                number(name, level, low=LOWEST_SIGMA, high=HIGHEST_SIGMA)
        if self.sigma_min is not None and self.sigma_max is not None and self.sigma_min >= self.sigma_max:
            raise ConfigError(f"sigma_min {self.sigma_min:g} must be below sigma_max {self.sigma_max:g}")


@dataclass(frozen=True, kw_only=True)
class OdeSolverConfig(NoiseLevelsConfig):
    """Options of the solvers of the probability-flow ODE in log-SNR time (Lu et al. 2022)."""

    truncates_cosine_timesteps: ClassVar[bool] = False
    """Whether the timesteps of a cosine's Karras levels are rounded down, not to the nearest (diffusers' rule)."""
    ends_at_last_level: ClassVar[bool] = False
    """Whether ``final_sigma="sigma_min"`` ends at the run's last level, not the noise schedule's (diffusers' rule)."""

    use_lu_lambdas: bool = False
    """Space λ, half the log-SNR, evenly between the schedule's ends (Lu et al. 2022)."""
    lower_order_final: bool = True
    """Make the last step of first order, which is more stable with few steps."""
