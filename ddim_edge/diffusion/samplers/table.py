"""The table of samplers: for each its config, schedule and generator."""

import dataclasses
import functools
import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ...arrays import Sample
from ...config import NoiseScheduleConfig, read_json
from ...errors import ConfigError, choose_from
from .ddim import DdimConfig, DdimSchedule, ddim
from .ddpm import DdpmConfig, DdpmSchedule, ddpm
from .dpmpp import DpmppConfig, DpmppSchedule, dpmpp_2m
from .euler import EulerAncestralConfig, EulerConfig, EulerSchedule, euler
from .lcm import LcmConfig, LcmSchedule, lcm
from .pndm import PndmConfig, PndmSchedule, pndm
from .query import NoiseSource, Sampler, Schedule
from .unipc import UnipcConfig, UnipcSchedule, unipc

SamplerConfig = (
    DdimConfig | DdpmConfig | PndmConfig | LcmConfig | EulerConfig | EulerAncestralConfig | DpmppConfig | UnipcConfig
)


def _unscaled_noise(_schedule: Schedule, noise: Sample) -> Sample:
    return noise


class SamplerRow(NamedTuple):
    """One sampler.

    ``schedule`` takes its config, the number of steps and the strength; ``generator`` takes the schedule, x_T and the
    source of noise; ``first_sample`` makes x_T from standard normal noise.
    """

    config: type[SamplerConfig]
    schedule: Callable[[Any, int, float], Schedule]
    generator: Callable[[Any, Sample, NoiseSource | None], Sampler]
    first_sample: Callable[[Any, Sample], Sample] = _unscaled_noise


ROWS = (
    SamplerRow(DdimConfig, DdimSchedule, ddim),
    SamplerRow(DdpmConfig, DdpmSchedule, ddpm),
    SamplerRow(PndmConfig, PndmSchedule, pndm),
    SamplerRow(LcmConfig, LcmSchedule, lcm),
    SamplerRow(EulerConfig, EulerSchedule, euler, EulerSchedule.first_sample),
    SamplerRow(EulerAncestralConfig, EulerSchedule, euler, EulerSchedule.first_sample),
    SamplerRow(DpmppConfig, DpmppSchedule, dpmpp_2m),
    SamplerRow(UnipcConfig, UnipcSchedule, unipc),
)

SAMPLERS: Mapping[str, type[SamplerConfig]] = {row.config.name: row.config for row in ROWS}
"""The config class of each sampler, by name."""

_BY_CONFIG = {row.config: row for row in ROWS}
_BY_CLASS = {row.config.scheduler_class: row.config for row in ROWS}


@functools.lru_cache(maxsize=64)
def schedule_of(config: SamplerConfig, num_steps: int, strength: float = 1.0) -> Schedule:
    """The schedule of a run. Raises ConfigError if the sampler cannot make this number of steps.

    Its ``timesteps`` are the network's timesteps, one per call: their number is the number of network calls.
    """
    return _BY_CONFIG[type(config)].schedule(config, num_steps, strength)


def first_sample(config: SamplerConfig, num_steps: int, noise: Sample) -> Sample:
    """x_T from standard normal ``noise``, float32 of any shape, as in diffusers: for most samplers ``noise`` itself."""
    return _BY_CONFIG[type(config)].first_sample(schedule_of(config, num_steps), noise)


def start(
    config: SamplerConfig,
    num_steps: int,
    sample: Sample,
    noise: NoiseSource | None = None,
    strength: float = 1.0,
) -> Sampler:
    """Start the sampler of ``config``: returns its generator.

    ``sample``: x_T, float32 of any shape; with ``strength`` < 1, an image at the noise level of the first remaining
    step. ``noise`` is required by samplers that add fresh noise. Raises ConfigError if the sampler cannot make this
    number of steps.
    """
    return _BY_CONFIG[type(config)].generator(schedule_of(config, num_steps, strength), sample, noise)


def samplers_with(option: str) -> list[str]:
    """The names of the samplers that have the option ``option``, such as eta."""
    return [name for name, config in SAMPLERS.items() if option in {field.name for field in dataclasses.fields(config)}]


def sampler_config(source: str | os.PathLike[str] | Mapping[str, Any], sampler: str | None = None) -> SamplerConfig:
    """Read a ``scheduler_config.json`` (path or dict); its ``_class_name`` chooses the sampler, DDIM without it.

    With ``sampler``, returns the config of that sampler for the same model: the options that it shares with the file's
    sampler, and all keys of the file that it knows. Raises ConfigError as ``with_sampler`` does.
    """
    keys = read_json(source)
    name = str(keys.get("_class_name", "DDIMScheduler"))
    if name not in _BY_CLASS:
        raise ConfigError(choose_from("_class_name", name, _BY_CLASS))
    own = _BY_CLASS[name].from_json(keys)
    if sampler is None:
        return own
    config = with_sampler(own, sampler)
    return own if config is own else config.replace(**type(config).fields_of(keys))


def with_sampler(config: SamplerConfig, name: str) -> SamplerConfig:
    """The config of sampler ``name`` for the model of ``config``.

    The options that both samplers have are copied: the noise schedule, the spacing, the clipping of x_0. Raises
    ConfigError for an unknown name, and if the sampler does not support the model's noise schedule.
    """
    if name not in SAMPLERS:
        raise ConfigError(choose_from("sampler", name, SAMPLERS))
    wanted = SAMPLERS[name]
    if isinstance(config, wanted):
        return config
    if getattr(config, "zero_terminal_snr", False) and not hasattr(wanted, "zero_terminal_snr"):
        raise ConfigError(f"{name} has no zero_terminal_snr, which this model was trained with: take another sampler")
    shared = {field.name for field in dataclasses.fields(wanted)} & {f.name for f in dataclasses.fields(config)}
    return wanted(**{field: getattr(config, field) for field in shared})


def changed_options(config: NoiseScheduleConfig) -> dict[str, Any]:
    """The options in which ``config`` differs from its defaults."""
    default = type(config)()
    return {
        field.name: getattr(config, field.name)
        for field in dataclasses.fields(config)
        if getattr(config, field.name) != getattr(default, field.name)
    }
