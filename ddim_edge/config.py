"""The options of a sampler as frozen data, checked when they are made.

``DdimConfig`` holds everything that the DDIM scheduler can be told; ``from_json`` reads the keys of diffusers'
``scheduler_config.json``, which ``diffusers_keys`` translates.
"""

import dataclasses
import json
import math
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

from .diffusers_keys import fields_from_diffusers, in_diffusers_words
from .errors import ConfigError, choose_from

BetaSchedule = Literal["linear", "quadratic", "squared_cosine"]
PredictionType = Literal["noise", "angular_velocity", "sample"]
AlphaClipStrategy = Literal["one", "alpha_zero"]
TimestepSpacing = Literal["leading", "trailing", "linspace", "quadratic"]
Transition = Literal["fixed_gap", "next"]


@dataclass(frozen=True, kw_only=True)
class NoiseScheduleConfig:
    """What every sampler needs to know of the forward process q(x_t | x_0), and which timesteps it visits."""

    num_train_steps: int = 1000
    """T: how many timesteps the network was trained on."""
    beta_schedule: BetaSchedule = "linear"
    """``linear``: β evenly spaced (Ho 2020). ``quadratic``: sqrt(β) evenly spaced (latent diffusion).
    ``squared_cosine``: ᾱ(t) = cos²((t/T + s)/(1 + s)·π/2) with s = 0.008 and β ≤ 0.999 (Nichol & Dhariwal 2021)."""
    beta_start: float = 0.0001
    beta_end: float = 0.02
    """First and last β of the ``linear`` and ``quadratic`` schedules."""
    trained_betas: tuple[float, ...] | None = None
    """The betas themselves, T of them; takes the place of the beta schedule."""
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
            _check_literal(field, getattr(self, field.name))
        whole_number("num_train_steps", self.num_train_steps, low=1)
        whole_number("timesteps_offset", self.timesteps_offset, low=0, high=self.num_train_steps - 1)
        _check_number("beta_start", self.beta_start, low=0, high=1, open_interval=True)
        _check_number("beta_end", self.beta_end, low=0, high=1, open_interval=True)
        self._check_trained_betas()

    def _normalize(self) -> None:
        if self.trained_betas is None:
            return
        try:
            betas = tuple(float(beta) for beta in self.trained_betas)
        except (TypeError, ValueError, OverflowError):
            raise ConfigError(f"trained_betas must be a list of numbers, not {self.trained_betas!r}") from None
        object.__setattr__(self, "trained_betas", betas)

    def _check_trained_betas(self) -> None:
        if self.trained_betas is None:
            return
        if len(self.trained_betas) != self.num_train_steps:
            raise ConfigError(
                f"trained_betas has {len(self.trained_betas)} values where num_train_steps is {self.num_train_steps}: "
                "give as many betas as training steps"
            )
        for beta in self.trained_betas:
            _check_number("trained_betas", beta, low=0, high=1, open_interval=True)

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some fields changed; an unknown field raises ConfigError with the nearest valid one."""
        valid = [field.name for field in dataclasses.fields(self)]
        for name in changes:
            if name not in valid:
                raise ConfigError(choose_from("sampler option", name, valid))
        return dataclasses.replace(self, **changes)

    @classmethod
    def from_json(cls, source: str | os.PathLike[str] | Mapping[str, Any]) -> Self:
        """Read a ``scheduler_config.json`` (a path, or its contents as a dict) with diffusers' keys.

        Keys that do not concern this sampler are ignored. A value that cannot be honoured, or a key that looks like
        a misspelt one, raises ConfigError naming the key.
        """
        valid = {field.name for field in dataclasses.fields(cls)}
        fields = fields_from_diffusers(read_json(source), valid)
        try:
            return cls(**fields)
        except ConfigError as error:
            raise ConfigError(in_diffusers_words(str(error))) from None


@dataclass(frozen=True, kw_only=True)
class DdimConfig(NoiseScheduleConfig):
    """Options of the DDIM sampler (Song, Meng, Ermon 2020, https://arxiv.org/abs/2010.02502)."""

    eta: float = 0.0
    """Scales σ_t of eq. 16: 0 is deterministic (DDIM), 1 over all T timesteps is DDPM."""
    clip_denoised_sample: bool = True
    """Clip the predicted x_0 to ± ``clip_range``."""
    clip_range: float = 1.0
    rederive_noise: bool = False
    """Take ε from the clipped x_0 instead of from the prediction (GLIDE)."""
    dynamic_threshold_ratio: float | None = None
    """Imagen's dynamic thresholding (Saharia et al. 2022): this quantile of each image's abs(x_0) becomes its range.
    Takes the place of clipping."""
    dynamic_threshold_max: float = 1.0
    """The largest range that dynamic thresholding may choose; the smallest is 1."""
    large_variance: bool = False
    """Add noise of variance 1 - ᾱ_t/ᾱ_t' instead of σ² (σ̂ in DDIM's table 1, "fixed_large" of DDPM); needs eta 1."""
    zero_terminal_snr: bool = False
    """Rescale the betas so that ᾱ_T = 0 (Lin et al. 2023, algorithm 1)."""
    transition: Transition = "fixed_gap"
    """The timestep that a step leads to: ``fixed_gap`` t - T//S (diffusers), or the ``next`` one of the list. They
    agree for ``leading``; for ``trailing`` and ``linspace`` only ``next`` is consistent. ``quadratic`` has no fixed
    gap and always goes to the next."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_number("eta", self.eta, low=0)
        _check_number("clip_range", self.clip_range, low=0, open_interval=True)
        if self.dynamic_threshold_ratio is not None:
            _check_number("dynamic_threshold_ratio", self.dynamic_threshold_ratio, low=0, high=1)
        _check_number("dynamic_threshold_max", self.dynamic_threshold_max, low=1)
        if self.large_variance and self.eta != 1:
            raise ConfigError(f"large_variance is defined for eta 1 alone, not {self.eta:g}")


SamplerConfig = DdimConfig

_DDPM_VARIANCES = {"fixed_small": False, "fixed_small_log": False, "fixed_large": True}


def _ddpm(keys: Mapping[str, Any]) -> DdimConfig:
    """DDPM's ancestral sampling (Ho et al. 2020), which is DDIM with eta 1 and ε taken from the clipped x_0."""
    variance = str(keys.get("variance_type", "fixed_small"))
    if variance not in _DDPM_VARIANCES:
        raise ConfigError(choose_from("variance_type", variance, _DDPM_VARIANCES))
    config = DdimConfig.from_json({"eta": 1.0, "rederive_noise": True, **keys})
    return config.replace(large_variance=_DDPM_VARIANCES[variance])


_SAMPLERS: Mapping[str, Callable[[Mapping[str, Any]], SamplerConfig]] = {
    "DDIMScheduler": DdimConfig.from_json,
    "DDPMScheduler": _ddpm,
}


def sampler_config(source: str | os.PathLike[str] | Mapping[str, Any]) -> SamplerConfig:
    """Read a ``scheduler_config.json`` (path or dict); its ``_class_name`` chooses the sampler, DDIM without one."""
    keys = read_json(source)
    name = str(keys.get("_class_name", "DDIMScheduler"))
    if name not in _SAMPLERS:
        raise ConfigError(choose_from("_class_name", name, _SAMPLERS))
    return _SAMPLERS[name](keys)


def read_json(source: str | os.PathLike[str] | Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the JSON object in the file ``source``, or ``source`` itself where it is one already."""
    if isinstance(source, Mapping):
        return source
    try:
        with open(source, encoding="utf-8") as file:
            value = json.load(file)
    except OSError as error:
        raise ConfigError(f"cannot read {os.fspath(source)}: {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(f"{os.fspath(source)} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ConfigError(f"{os.fspath(source)} must hold a JSON object, not a {type(value).__name__}")
    return value


def _check_literal(field: dataclasses.Field[Any], value: object) -> None:
    choices = get_args(field.type)
    if choices and all(isinstance(choice, str) for choice in choices) and value not in choices:
        raise ConfigError(choose_from(field.name, value, choices))
    if field.type is bool and not isinstance(value, bool):
        raise ConfigError(f"{field.name} must be true or false, not {value!r}")


def whole_number(name: str, value: object, low: int, high: int | None = None) -> None:
    """Refuse what is not a whole number within [low, high]."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigError(f"{name} must be a whole number, not {value!r}")
    if value < low or (high is not None and value > high):
        limits = f"at least {low}" if high is None else f"from {low} to {high}"
        raise ConfigError(f"{name} must be {limits}, not {value}")


def _check_number(name: str, value: object, low: float, high: float = math.inf, *, open_interval: bool = False) -> None:
    """Refuse what is not a finite number within [low, high], or within (low, high) for an open interval."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= sys.float_info.max:
        raise ConfigError(f"{name} must be a finite number, not {value!r}")
    inside = low < value < high if open_interval else low <= value <= high
    if not inside:
        brackets = "()" if open_interval else "[]"
        raise ConfigError(f"{name} must lie in {brackets[0]}{low:g}, {high:g}{brackets[1]}, not {value!r}")
