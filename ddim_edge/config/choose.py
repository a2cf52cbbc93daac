"""Which sampler: by the class that a scheduler file names, or by its name."""

import dataclasses
import os
from collections.abc import Mapping
from typing import Any, get_args

from ..errors import ConfigError, choose_from
from .json_file import read_json
from .noise_schedule import NoiseScheduleConfig
from .samplers import SamplerConfig

SAMPLERS: Mapping[str, type[SamplerConfig]] = {config.name: config for config in get_args(SamplerConfig)}
"""Every sampler's config, by its name."""

_BY_CLASS = {config.scheduler_class: config for config in SAMPLERS.values()}


def sampler_config(source: str | os.PathLike[str] | Mapping[str, Any], sampler: str | None = None) -> SamplerConfig:
    """Read a ``scheduler_config.json`` (path or dict); its ``_class_name`` chooses the sampler, DDIM without one.

    With ``sampler``, the options of that one for the same model: what the file says of it counts, though the file is
    another's, and what the two samplers have in common. Raises ConfigError as ``with_sampler`` does.
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
    """The options of sampler ``name`` for the model that ``config`` was made for.

    All that the two have in common carries over: the noise schedule, the spacing, and how x_0 is limited. Raises
    ConfigError for an unknown name, and where the other sampler cannot follow the model's noise schedule.
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
