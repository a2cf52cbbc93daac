"""Options that all samplers have: the noise schedule of the forward process, and the timesteps of a run."""

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

from ..errors import ConfigError, choose_from, shown
from .checks import check_field, number, whole_number
from .diffusers_keys import fields_from_diffusers, with_diffusers_key
from .json_file import read_json

BetaSchedule = Literal["linear", "quadratic", "squared_cosine"]
LOWEST_BETA, HIGHEST_BETA = 1e-9, 0.9999
"""Bounds of every β: 1 - β must differ clearly from 1 and from 0."""
MAX_TRAIN_STEPS = 100_000
LARGEST_RANGE = 1e6
"""The largest range that x_0 can be limited to; float32 samples stay far from overflow."""

PredictionType = Literal["noise", "angular_velocity", "sample"]
AlphaClipStrategy = Literal["one", "alpha_zero"]
TimestepSpacing = Literal["leading", "trailing", "linspace", "quadratic"]
Transition = Literal["fixed_gap", "next"]


@dataclass(frozen=True, kw_only=True)
class NoiseScheduleConfig:
    """Options that all samplers have: the forward process q(x_t | x_0), and the timesteps of a run."""

    name: ClassVar[str]
    """Name of the sampler on the command line and in recipes."""
    summary: ClassVar[str]
    """One line that says what the sampler is for."""
    scheduler_class: ClassVar[str]
    """``_class_name`` of its scheduler files: the class in diffusers."""
    usual_steps: ClassVar[int] = 50
    """Default number of steps, if the scheduler file has none."""

    num_train_steps: int = 1000
    """T: the number of timesteps that the network was trained on."""
    beta_schedule: BetaSchedule = "linear"
    """``linear``: β evenly spaced (Ho 2020). ``quadratic``: sqrt(β) evenly spaced (latent diffusion).
    ``squared_cosine``: ᾱ(t) = cos²((t/T + s)/(1 + s)·π/2) with s = 0.008 and β ≤ 0.999 (Nichol & Dhariwal 2021)."""
    beta_start: float = 0.0001
    beta_end: float = 0.02
    """First and last β of the ``linear`` and ``quadratic`` schedules."""
    trained_betas: tuple[float, ...] | None = None
    """The T betas themselves, instead of a beta schedule."""
    prediction_type: PredictionType = "noise"
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
        self._normalize()
        for field in dataclasses.fields(self):
            check_field(field, getattr(self, field.name))
        whole_number("num_train_steps", self.num_train_steps, low=1, high=MAX_TRAIN_STEPS)
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

    @property
    def is_stochastic(self) -> bool:
        """Whether steps add fresh noise: then the result depends on more than the initial sample."""
        return False

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some fields changed; an unknown field raises ConfigError with the nearest valid one."""
        valid = [field.name for field in dataclasses.fields(self)]
        for name in changes:
            if name not in valid:
                raise ConfigError(choose_from(f"{self.name} option", name, valid))
        return dataclasses.replace(self, **changes)

    @classmethod
    def from_json(cls, source: str | os.PathLike[str] | Mapping[str, Any]) -> Self:
        """Read a ``scheduler_config.json`` (a path, or its contents as a dict) with diffusers' keys.

        Keys that this sampler does not have are ignored. An unsupported value, or a key that looks misspelt, raises
        ConfigError naming the key.
        """
        try:
            return cls(**cls.fields_of(read_json(source)))
        except ConfigError as error:
            raise type(error)(with_diffusers_key(str(error))) from None

    @classmethod
    def fields_of(cls, keys: Mapping[str, Any]) -> dict[str, Any]:
        """The fields that the ``keys`` of a scheduler file set. Raises ConfigError as ``from_json`` does."""
        return fields_from_diffusers(keys, cls.scheduler_class, {field.name for field in dataclasses.fields(cls)})


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
