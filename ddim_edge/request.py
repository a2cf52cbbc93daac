"""A request: everything that decides which images come out, as data that a PNG can carry."""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, Self, get_args

from .config import DdimConfig, SamplerConfig, whole_number
from .errors import ConfigError, choose_from
from .noise import NoiseKind

DEFAULT_BATCH_SIZE = 16


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to make. Image k has the seed ``seed + k`` and the label ``labels[k % len(labels)]``.

    Raises ConfigError for values that mean nothing for any model; the pipeline checks the rest against its model.
    """

    num_images: int
    labels: tuple[int, ...] = ()
    """Class numbers, repeated as often as needed; empty for a model without classes."""
    num_steps: int = 50
    seed: int = 0
    noise: NoiseKind = "torch"
    guidance_scale: float = 1.0
    batch_size: int = DEFAULT_BATCH_SIZE
    """How many images step together. It can change an image by a rounding error, so it belongs to the recipe."""
    sampler: SamplerConfig

    def __post_init__(self) -> None:
        whole_number("num_images", self.num_images, low=1)
        whole_number("num_steps", self.num_steps, low=1, high=self.sampler.num_train_steps)
        whole_number("seed", self.seed, low=0, high=2**63 - self.num_images)
        whole_number("batch_size", self.batch_size, low=1)
        if self.noise not in get_args(NoiseKind):
            raise ConfigError(choose_from("noise", self.noise, get_args(NoiseKind)))
        if not isinstance(self.guidance_scale, Real) or not 0 <= self.guidance_scale < 1e6:
            raise ConfigError(f"guidance_scale must be a number of at least 0, not {self.guidance_scale!r}")

    def chunks(self) -> Iterator[range]:
        """The indices of the images that step together, batch by batch."""
        for first in range(0, self.num_images, self.batch_size):
            yield range(first, min(first + self.batch_size, self.num_images))

    def chunk_of(self, index: int) -> range:
        """The batch that image ``index`` belongs to."""
        first = index - index % self.batch_size
        return range(first, min(first + self.batch_size, self.num_images))

    def label(self, index: int) -> int | None:
        """The class of image ``index``; None for a model without classes."""
        return self.labels[index % len(self.labels)] if self.labels else None

    def to_json(self) -> dict[str, Any]:
        """The request as JSON values, of which ``from_json`` makes the same request again."""
        values = {name: getattr(self, name) for name in _PLAIN_FIELDS}
        return {**values, "labels": list(self.labels), "sampler": changed_options(self.sampler)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Read what ``to_json`` wrote; ConfigError where it cannot be."""
        try:
            plain = {name: values[name] for name in _PLAIN_FIELDS}
            labels, sampler = tuple(values["labels"]), DdimConfig().replace(**values["sampler"])
        except (KeyError, TypeError) as error:
            raise ConfigError(f"the recipe is incomplete or of another version: {error}") from None
        return cls(**plain, labels=labels, sampler=sampler)


_PLAIN_FIELDS = ("num_images", "num_steps", "seed", "noise", "guidance_scale", "batch_size")


def changed_options(config: SamplerConfig) -> dict[str, Any]:
    """The options in which ``config`` differs from its defaults."""
    default = type(config)()
    return {
        field.name: getattr(config, field.name)
        for field in dataclasses.fields(config)
        if getattr(config, field.name) != getattr(default, field.name)
    }
