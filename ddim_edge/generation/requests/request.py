"""A request: everything that decides which images come out, as data that a PNG can carry."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, Self, get_args

from ...config import whole_number
from ...diffusion.noise import NoiseKind
from ...diffusion.samplers import SAMPLERS, SamplerConfig, changed_options
from ...errors import ConfigError, choose_from
from ...text import Prompt
from .origin import Origin, check_same_origin

DEFAULT_BATCH_SIZE = 16
LARGEST_SIDE = 16384


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to make. Image k has the seed ``seed + k`` and the label ``labels[k % len(labels)]``.

    Raises ConfigError for values that mean nothing for any model; the pipeline checks the rest against its model.
    """

    num_images: int
    labels: tuple[int, ...] = ()
    """Class numbers, repeated as often as needed; empty for a model without classes."""
    prompts: tuple[str, ...] = ()
    """Texts, repeated as often as needed; empty for a model that reads none."""
    negative_prompt: str | None = None
    """What to guide away from; None for what the model takes as nothing."""
    long_prompt: bool = False
    """Whether to read what is longer than the text encoder takes, in chunks; it is cut off otherwise."""
    prompt_weights: bool = False
    """Whether ``(word:1.3)`` and ``[word]`` are weights."""
    height: int | None = None
    """In pixels, as ``width``; None for the model's usual size."""
    width: int | None = None
    vae_tiling: bool = False
    """Whether the autoencoder works in tiles, which changes the pixels a little."""
    num_steps: int = 50
    seed: int = 0
    noise: NoiseKind = "torch"
    guidance_scale: float = 1.0
    guidance_rescale: float = 0.0
    """How much of the contrast that guidance adds is taken back (Lin et al. 2023), from 0 to 1."""
    guidance_interval: tuple[float, float] | None = None
    """The noise levels σ, above the first and up to the second, between which to guide; None for all."""
    strength: float = 1.0
    """How much of an image to start from is changed: the share of the steps that are made."""
    batch_size: int = DEFAULT_BATCH_SIZE
    """How many images step together. It can change an image by a rounding error, so it belongs to the recipe."""
    sampler: SamplerConfig
    control_scale: tuple[float, ...] = ()
    """How strongly each ControlNet acts, in their order."""
    safety_checker: bool = True
    """Whether the images are shown to the model's safety checker, if it has one."""
    origin: Origin | None = None
    """What the images are made from besides noise."""

    def __post_init__(self) -> None:
        whole_number("num_images", self.num_images, low=1)
        whole_number("num_steps", self.num_steps, low=1, high=self.sampler.num_train_steps)
        whole_number("seed", self.seed, low=0, high=2**63 - self.num_images)
        whole_number("batch_size", self.batch_size, low=1)
        if self.noise not in get_args(NoiseKind):
            raise ConfigError(choose_from("noise", self.noise, get_args(NoiseKind)))
        _real("guidance_scale", self.guidance_scale, high=1e6)
        _real("guidance_rescale", self.guidance_rescale, high=1)
        for scale in self.control_scale:
            _real("control_scale", scale)
        self._check_interval()
        self._check_text()
        for name in ("height", "width"):
            if getattr(self, name) is not None:
                whole_number(name, getattr(self, name), low=1, high=LARGEST_SIDE)
        if not self.guided and (self.guidance_rescale or self.guidance_interval):
            raise ConfigError(
                "guidance_rescale and guidance_interval change guidance, and guidance_scale "
                f"{self.guidance_scale:g} is none: set it"
            )
        if self.strength != 1 and (self.origin is None or self.origin.image is None):
            raise ConfigError(f"strength {self.strength!r} says how much an image is changed: give the image, too")

    def _check_text(self) -> None:
        for index in range(len(self.prompts)):
            self.prompt(index)
        if not self.prompts and (self.negative_prompt is not None or self.long_prompt or self.prompt_weights):
            raise ConfigError("negative_prompt, long_prompt and prompt_weights go with a prompt: give one")
        if self.negative_prompt is not None and not self.guided:
            raise ConfigError(
                f"negative_prompt says what to guide away from, and guidance_scale {self.guidance_scale:g} is no "
                "guidance: set it above 1"
            )

    def _check_interval(self) -> None:
        interval = self.guidance_interval
        if interval is None:
            return
        if not isinstance(interval, tuple) or len(interval) != 2:
            raise ConfigError(f"guidance_interval must be two noise levels, not {interval!r}")
        low, high = interval
        _real("guidance_interval's lower level", low)
        _real("guidance_interval's upper level", high)
        if low >= high:
            raise ConfigError(f"guidance_interval must go from a lower to a higher level, not from {low:g} to {high:g}")

    @property
    def guided(self) -> bool:
        """Whether the guidance scale asks for guidance: any but 1, and for text only above 1, as in diffusers."""
        return self.guidance_scale > 1 if self.prompts else self.guidance_scale != 1

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

    def prompt(self, index: int) -> Prompt | None:
        """The text of image ``index``; None for a model that reads none."""
        if not self.prompts:
            return None
        text = self.prompts[index % len(self.prompts)]
        return Prompt(text=text, negative=self.negative_prompt, long=self.long_prompt, weighted=self.prompt_weights)

    def to_json(self) -> dict[str, Any]:
        """The request as JSON values, of which ``from_json`` makes the same request again.

        Of its origin there are only the hashes.
        """
        values = {name: getattr(self, name) for name in _PLAIN_FIELDS}
        values |= {name: getattr(self, name) for name, usual in _RARE_FIELDS.items() if getattr(self, name) != usual}
        if self.control_scale:
            values["control_scale"] = list(self.control_scale)
        if self.prompts:
            values["prompts"] = list(self.prompts)
        if self.origin is not None:
            values["origin"] = self.origin.to_json()
        sampler = {"name": self.sampler.name, **changed_options(self.sampler)}
        return {**values, "labels": list(self.labels), "sampler": sampler}

    @classmethod
    def from_json(cls, values: Mapping[str, Any], origin: Origin | None = None) -> Self:
        """Read what ``to_json`` wrote; ConfigError where it cannot be, and where ``origin`` is not the one of then."""
        try:
            plain = {name: values[name] for name in _PLAIN_FIELDS}
            labels, sampler = tuple(values["labels"]), sampler_from_json(**values["sampler"])
        except (KeyError, TypeError) as error:
            raise ConfigError(f"the recipe is incomplete or of another version: {error}") from None
        check_same_origin(values.get("origin", {}), origin)
        rare = {name: _tupled(values.get(name, usual)) for name, usual in _RARE_FIELDS.items()}
        return cls(**plain, **rare, labels=labels, sampler=sampler, origin=origin)


_PLAIN_FIELDS = ("num_images", "num_steps", "seed", "noise", "guidance_scale", "batch_size")
_RARE_FIELDS: Mapping[str, Any] = {
    "guidance_rescale": 0.0,
    "guidance_interval": None,
    "strength": 1.0,
    "prompts": (),
    "negative_prompt": None,
    "long_prompt": False,
    "prompt_weights": False,
    "height": None,
    "width": None,
    "control_scale": (),
    "safety_checker": True,
    "vae_tiling": False,
}
"""Fields that stand in a recipe only where they are not as usual."""


def _real(name: str, value: object, high: float = 1e9) -> None:
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) <= high:
        limits = "of at least 0" if high > 1 else "from 0 to 1"
        raise ConfigError(f"{name} must be a number {limits}, not {value!r}")


def sampler_from_json(name: str = "ddim", **options: Any) -> SamplerConfig:
    """The sampler of a recipe; ConfigError for one that is not built here."""
    if name not in SAMPLERS:
        raise ConfigError(choose_from("sampler", name, SAMPLERS))
    return SAMPLERS[name]().replace(**options)


def _tupled(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
