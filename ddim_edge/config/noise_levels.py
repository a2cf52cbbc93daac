"""Options of the samplers that step through noise levels σ."""

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from ..errors import ConfigError, choose_from
from .checks import falling, number
from .noise_schedule import ThresholdConfig, TimestepSpacing
from .sampler_options import SamplerOptions
from .sigma_spacing import SigmaSpacingConfig
from .solver import MultistepConfig

LOWEST_SIGMA, HIGHEST_SIGMA = 1e-5, 1e5
"""Bounds of ``sigma_min`` and ``sigma_max``: ᾱ = 1/(1 + σ²) must differ clearly from 1 and from 0."""

HIGHEST_LAMBDA = 100.0

AlignedFor = Literal["sd15", "sdxl"]
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
    sigmas: tuple[float, ...] | None = None
    """The levels σ of a run themselves, falling, without the last; log σ is interpolated to another number of steps."""
    timesteps: tuple[float, ...] | None = None
    """The timesteps of a run themselves, falling; as with ``sigmas``, log σ is interpolated."""
    align_your_steps: AlignedFor | None = None
    """The timesteps of Align Your Steps for Stable Diffusion 1.5 (``sd15``) or SDXL (``sdxl``) (Sabour et al. 2024)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_given()
        for name in ("sigma_min", "sigma_max"):
            level = getattr(self, name)
            if level is not None:
                number(name, level, low=LOWEST_SIGMA, high=HIGHEST_SIGMA)
        if self.sigma_min is not None and self.sigma_max is not None and self.sigma_min >= self.sigma_max:
            raise ConfigError(f"sigma_min {self.sigma_min:g} must be below sigma_max {self.sigma_max:g}")

    def _normalize(self) -> None:
        super()._normalize()
        for name in ("sigmas", "timesteps"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, falling(name, getattr(self, name)))

    def _check_given(self) -> None:
        if self.align_your_steps is not None and self.align_your_steps not in get_args(AlignedFor):
            raise ConfigError(choose_from("align_your_steps", self.align_your_steps, get_args(AlignedFor)))
        for level in self.sigmas or ():
            number("sigmas", level, low=LOWEST_SIGMA, high=HIGHEST_SIGMA)
        for timestep in self.timesteps or ():
            number("timesteps", timestep, low=0, high=self.num_train_steps - 1)
        spacing = self._chosen().values()
        given = [name for name in ("sigmas", "timesteps", "align_your_steps") if getattr(self, name) is not None]
        if len([*given, *spacing]) > 1:
            names = " and ".join([*given, *spacing])
            raise ConfigError(f"{names} exclude each other: a run has one list or spacing of levels; leave one")


@dataclass(frozen=True, kw_only=True)
class OdeSolverConfig(MultistepConfig, NoiseLevelsConfig):
    """Options of the solvers of the probability-flow ODE in log-SNR time (Lu et al. 2022)."""

    truncates_cosine_timesteps: ClassVar[bool] = False
    """Whether the timesteps of a cosine's Karras levels are rounded down, not to the nearest (diffusers' rule)."""
    ends_at_last_level: ClassVar[bool] = False
    """Whether ``final_sigma="sigma_min"`` ends at the run's last level, not the noise schedule's (diffusers' rule)."""

    use_lu_lambdas: bool = False
    """Space λ, half the log-SNR, evenly between the schedule's ends (Lu et al. 2022)."""
    lambda_min_clipped: float | None = None
    """Leave out the timesteps whose λ is below this, which are nearly all noise; a cosine's need about -5.1. It has no
    effect on levels that are spaced anew."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.lambda_min_clipped is not None:
            number("lambda_min_clipped", self.lambda_min_clipped, low=-HIGHEST_LAMBDA, high=HIGHEST_LAMBDA)
