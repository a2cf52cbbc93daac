"""Defaults: the options that a model's author recommends, in the bundle's generation_config.json."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ..config.schema import check_json
from ..diffusion.samplers import SamplerConfig
from ..errors import ConfigError, choose_from
from .json_files import DEFAULTS, read_optional
from .layout import GENERATION_CONFIG


@dataclass(frozen=True, kw_only=True)
class Defaults:
    """The author's defaults, by the names of the generation options; None where there is none.

    ``num_steps`` is for the model's own sampler. Other keys of the file are ignored.
    """

    num_steps: int | None = None
    guidance_scale: float | None = None
    negative_prompt: str | None = None
    height: int | None = None
    width: int | None = None

    @classmethod
    def read(cls, folder: Path) -> "Defaults":
        """The defaults of a bundle. ``check_json_files`` has checked the values."""
        values = read_optional(folder / GENERATION_CONFIG)
        return cls(**{field.name: values.get(field.name) for field in fields(cls)})

    @classmethod
    def checked(cls, values: Mapping[str, Any]) -> "Defaults":
        """The defaults of given values. ConfigError for an unknown name or a wrong value."""
        for name in values:
            if name not in DEFAULTS:
                raise ConfigError(choose_from("default", name, list(DEFAULTS)))
        check_json(values, DEFAULTS, "the model's defaults")
        return cls(**values)

    def to_json(self) -> dict[str, Any]:
        """The entries of generation_config.json."""
        return {name: value for name, value in vars(self).items() if value is not None}


def default_steps_of(config: SamplerConfig) -> int:
    """The sampler's own default number of steps, at most the number of training steps."""
    return min(config.usual_steps, config.num_train_steps)
