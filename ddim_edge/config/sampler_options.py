"""Options that all samplers have."""

import dataclasses
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

from ..errors import ConfigError, choose_from, shown
from .checks import check_field, whole_number
from .diffusers_keys import field_of_key, fields_from_diffusers, with_diffusers_key
from .json_file import read_json

MAX_TRAIN_STEPS = 100_000

PredictionType = Literal["noise", "angular_velocity", "sample", "flow", "edm"]
"""What a network returns: ``noise`` ε, ``angular_velocity`` v = sqrt(ᾱ)ε - sqrt(1-ᾱ)x_0 (Salimans & Ho 2022),
``sample`` x_0, ``flow`` ε - x_0 (flow matching), or ``edm`` F (Karras et al. 2022, eq. 7)."""
Family = Literal["betas", "flow", "edm", "consistency", "angle"]
"""What a model's noise levels come from: discrete betas, the straight path of flow matching, σ alone (EDM and
consistency models) or angles."""


@dataclass(frozen=True, kw_only=True)
class SamplerOptions:
    """Options that all samplers have."""

    name: ClassVar[str]
    """Name of the sampler on the command line and in recipes."""
    summary: ClassVar[str]
    """One line that says what the sampler is for."""
    scheduler_class: ClassVar[str]
    """``_class_name`` of its scheduler files: the class in diffusers."""
    usual_steps: ClassVar[int] = 50
    """Default number of steps, if the scheduler file has none."""
    family: ClassVar[Family]
    """A sampler works with models of its family alone."""

    num_train_steps: int = 1000
    """T: the number of timesteps that the network was trained on."""

    @property
    def prediction_type(self) -> PredictionType:
        """What the network returns; a field of each family."""
        raise NotImplementedError

    def __new__(cls, **options: object) -> Self:
        """A config with the ``options``. Raises ConfigError for an unknown one, with its name here."""
        cls._check_names(options)
        return super().__new__(cls)

    def __post_init__(self) -> None:
        self._normalize()
        for field in dataclasses.fields(self):
            check_field(field, getattr(self, field.name))
        whole_number("num_train_steps", self.num_train_steps, low=1, high=MAX_TRAIN_STEPS)

    def _normalize(self) -> None:
        """Bring the values of fields to their types, where other types are taken, too."""

    @property
    def is_stochastic(self) -> bool:
        """Whether steps add fresh noise: then the result depends on more than the initial sample."""
        return False

    @property
    def takes_variance(self) -> bool:
        """Whether the sampler also takes what the network predicts of the variance: twice the channels."""
        return False

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some fields changed; an unknown field raises ConfigError with its name here."""
        self._check_names(changes)
        return dataclasses.replace(self, **changes)

    @classmethod
    def _check_names(cls, options: Collection[str]) -> None:
        """Raise ConfigError for the first unknown option, with its name here or the nearest valid one."""
        valid = [field.name for field in dataclasses.fields(cls)]
        for name in options:
            if name not in valid:
                here = field_of_key(name)
                message = f"{cls.name} has no option {shown(name)}: it is called {here} here"
                raise ConfigError(message if here in valid else choose_from(f"{cls.name} option", name, valid))

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
