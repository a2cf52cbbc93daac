"""Options of discrete betas: the noise schedule of the forward process, and the timesteps of a run."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from ..errors import ConfigError, shown
from .checks import number, whole_number
from .sampler_options import Family, SamplerOptions

BetaSchedule = Literal["linear", "quadratic", "squared_cosine", "sigmoid"]
LOWEST_BETA, HIGHEST_BETA = 1e-9, 0.9999
"""Bounds of every β: 1 - β must differ clearly from 1 and from 0."""
LARGEST_RANGE = 1e6
"""The largest range that x_0 can be limited to; float32 samples stay far from overflow."""

BetasPrediction = Literal["noise", "angular_velocity", "sample"]
AlphaClipStrategy = Literal["one", "alpha_zero"]
TimestepSpacing = Literal["leading", "trailing", "linspace", "quadratic"]
Transition = Literal["fixed_gap", "next"]


@dataclass(frozen=True, kw_only=True)
class NoiseScheduleConfig(SamplerOptions):
    """Options of the samplers of discrete betas: the forward process q(x_t | x_0), and the timesteps of a run."""

    family: ClassVar[Family] = "betas"

    beta_schedule: BetaSchedule = "linear"
    """``linear``: β evenly spaced (Ho 2020). ``quadratic``: sqrt(β) evenly spaced (latent diffusion).
    ``squared_cosine``: ᾱ(t) = cos²((t/T + s)/(1 + s)·π/2) with s = 0.008 and β ≤ 0.999 (Nichol & Dhariwal 2021).
    ``sigmoid``: from the first to the last β along the sigmoid of -6 to 6 (GeoDiff, Xu et al. 2022)."""
    beta_start: float = 0.0001
    beta_end: float = 0.02
    """First and last β of the ``linear``, ``quadratic`` and ``sigmoid`` schedules."""
    trained_betas: tuple[float, ...] | None = None
    """The T betas themselves, instead of a beta schedule."""
    prediction_type: BetasPrediction = "noise"
    """What the network returns: ``noise`` ε, ``angular_velocity`` v = sqrt(ᾱ)ε - sqrt(1-ᾱ)x_0 (Salimans & Ho 2022),
    or ``sample`` x_0."""
    alpha_clip_strategy: AlphaClipStrategy = "one"
    """ᾱ before the first timestep: 1 (``one``) or ᾱ_0 (``alpha_zero``)."""
    timesteps_offset: int = 0
    """Added to every timestep of the ``leading`` spacing."""
    timestep_spacing: TimestepSpacing = "leading"
    """``leading`` i·(T//S), ``trailing`` T - i·T/S - 1, ``linspace`` over [0, T-1] (Lin et al. 2023, table 2), or
    ``quadratic`` c·i² (DDIM, appendix D.2)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        whole_number("timesteps_offset", self.timesteps_offset, low=0, high=self.num_train_steps - 1)
        number("beta_start", self.beta_start, low=LOWEST_BETA, high=HIGHEST_BETA)
        number("beta_end", self.beta_end, low=LOWEST_BETA, high=HIGHEST_BETA)
        self._check_trained_betas()

    def _normalize(self) -> None:
        if self.trained_betas is None:
            return
        try:
            betas = tuple(float(beta) for beta in self.trained_betas)
        except (TypeError, ValueError, OverflowError):
            raise ConfigError(f"trained_betas must be a list of numbers, not {shown(self.trained_betas)}") from None
        object.__setattr__(self, "trained_betas", betas)

    def _check_trained_betas(self) -> None:
        if self.trained_betas is None:
            return
        if len(self.trained_betas) != self.num_train_steps:
            raise ConfigError(
                f"trained_betas has {len(self.trained_betas)} values and num_train_steps is {self.num_train_steps}: "
                "give as many betas as training steps"
            )
        for beta in self.trained_betas:
            number("trained_betas", beta, low=LOWEST_BETA, high=HIGHEST_BETA)


@dataclass(frozen=True, kw_only=True)
class ThresholdConfig(NoiseScheduleConfig):
    """Imagen's dynamic thresholding of the predicted x_0 (Saharia et al. 2022), and noise schedules with ᾱ_T = 0."""

    dynamic_threshold_ratio: float | None = None
    """The quantile of each image's abs(x_0) that becomes its range. Used instead of clipping."""
    dynamic_threshold_max: float = 1.0
    """Largest range of dynamic thresholding; the smallest is 1."""
    zero_terminal_snr: bool = False
    """Rescale the betas so that ᾱ_T = 0 (Lin et al. 2023, algorithm 1)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dynamic_threshold_ratio is not None:
            number("dynamic_threshold_ratio", self.dynamic_threshold_ratio, low=0, high=1)
        number("dynamic_threshold_max", self.dynamic_threshold_max, low=1, high=LARGEST_RANGE)


@dataclass(frozen=True, kw_only=True)
class ClipConfig(ThresholdConfig):
    """Clipping of the predicted x_0 to a fixed range."""

    clip_denoised_sample: bool = True
    """Clip the predicted x_0 to ± ``clip_range``."""
    clip_range: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        number("clip_range", self.clip_range, low=1 / LARGEST_RANGE, high=LARGEST_RANGE)
