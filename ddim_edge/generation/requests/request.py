"""Request: all settings that decide which images come out, as data that is stored in a PNG."""

import dataclasses
import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self, get_args

from ...bundle.json_files import MAX_SIDE
from ...config import RealTimeConfig, number, whole_number
from ...diffusion.guidance import GuidanceMode
from ...diffusion.noise import NoiseKind
from ...diffusion.samplers import SamplerConfig, changed_options
from ...diffusion.step_cache import StepCache
from ...errors import ConfigError, choose_from, shown
from ...lora.adapter import UsedLora
from ...text import Prompt
from .guidance_values import check_image_scale, check_mode
from .loras import active, loras_from_json
from .named_arrays import NamedArrays, check_same_named
from .numbers import at_least_0, check_interval
from .origin import Origin, check_same_origin
from .recipe import MAX_IMAGES, REAL_TIMESTEPS, check_recipe, sampler_from_json

DEFAULT_BATCH_SIZE = 16


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to make: image k has the seed ``seed + k`` and the label ``labels[k % len(labels)]``.

    Raises ConfigError for values that are invalid for every model; the pipeline checks the rest against its model.
    """

    num_images: int
    num_steps: int = 50
    seed: int = 0
    noise: NoiseKind = "torch"
    guidance_scale: float = 1.0
    batch_size: int = DEFAULT_BATCH_SIZE
    """Number of images denoised together. It can change an image by a rounding error, so a recipe has it."""
    guidance_mode: GuidanceMode = "cfg"
    """What the guided prediction decides: the whole step, or with ``cfg++`` x_0 alone, at a scale from 0 to 1."""
    guidance_rescale: float = 0.0
    """Share, from 0 to 1, of the contrast added by guidance that is removed again (Lin et al. 2023)."""
    guidance_interval: tuple[float, float] | None = None
    """Guide only at noise levels σ above the first and up to the second; None for all levels."""
    image_guidance_scale: float | None = None
    """The guidance scale of the picture, at least 1; None for a model that has none, and without guidance."""
    noise_level: int | None = None
    """How much noise is added to the picture that an upscaler takes; None for models that take none such."""
    strength: float = 1.0
    """How much of the initial image to change: the share of the steps that are run."""
    prompts: tuple[str, ...] = ()
    """Texts, used in turn; empty for a model that takes no text."""
    between_prompts: bool = False
    """Whether the images go from the first of two prompts to the second: their conditioning is interpolated."""
    negative_prompt: str | None = None
    """Text that the images should not show; None for the model's empty prompt."""
    long_prompt: bool = False
    """Whether to read prompts longer than the text encoder takes, in chunks; otherwise the end is cut off."""
    prompt_weights: bool = False
    """Whether ``(word:1.3)`` and ``[word]`` in prompts are weights, and ``BREAK`` begins a new chunk."""
    clip_skip: int = 0
    """How many of the text encoder's last layers are left out."""
    height: int | None = None
    """In pixels, as ``width``; None for the model's default size."""
    width: int | None = None
    shape: tuple[int, ...] | None = None
    """That of one sample, for a model of arrays whose network leaves axes free; None for the model's own."""
    control_scale: tuple[float, ...] = ()
    """The strength of each ControlNet, in their order."""
    ip_adapter_scale: tuple[float, ...] = ()
    """The scale of each IP-Adapter, in their order; empty without images for them."""
    safety_checker: bool = True
    """Whether to run the model's safety checker, if it has one."""
    vae_tiling: bool = False
    """Whether the autoencoder works in tiles, which changes the pixels slightly."""
    vae_tile: int | None = None
    """The side of the tiles in pixels; None for the autoencoder's own."""
    cache: str | None = None
    """The step cache, as ``StepCache.parse`` reads it: another picture in fewer network calls. None for none."""
    cache_threshold: float | None = None
    """The largest estimated error of cached calls; None where the cache's N alone decides."""
    rows_per_call: int | None = None
    """Most rows of a network call, for little memory; None for no limit. It can change an image by a rounding error."""
    loras: tuple[UsedLora, ...] = ()
    """The adapters that change the networks, with their scales."""
    labels: tuple[int, ...] = ()
    """Class numbers, used in turn; empty for a model without classes."""
    sampler: SamplerConfig
    origin: Origin | None = None
    """What the images are made from besides noise."""
    conditioning: NamedArrays | None = None
    """Values for the inputs that the network takes by name; None for a network that has none."""

    def __post_init__(self) -> None:
        whole_number("num_images", self.num_images, low=1, high=MAX_IMAGES)
        whole_number("num_steps", self.num_steps, low=1, high=self.sampler.num_train_steps)
        whole_number("seed", self.seed, low=0, high=2**63 - self.num_images)
        whole_number("batch_size", self.batch_size, low=1)
        if self.noise not in get_args(NoiseKind):
            raise ConfigError(choose_from("noise", self.noise, get_args(NoiseKind)))
        at_least_0("guidance_scale", self.guidance_scale, high=1e6)
        check_mode(self.guidance_mode, self.guidance_scale)
        at_least_0("guidance_rescale", self.guidance_rescale, high=1)
        check_image_scale(self.image_guidance_scale)
        number("strength", self.strength, low=0, high=1)
        for scale in self.control_scale:
            at_least_0("control_scale", scale)
        for scale in self.ip_adapter_scale:
            at_least_0("ip_adapter_scale", scale)
        check_interval(self.guidance_interval)
        self._check_text()
        _ = self.step_cache
        for name in ("height", "width"):
            if getattr(self, name) is not None:
                whole_number(name, getattr(self, name), low=1, high=MAX_SIDE)
        for name in ("vae_tile", "rows_per_call"):
            if getattr(self, name) is not None:
                whole_number(name, getattr(self, name), low=1)
        if not self.guided and (self.guidance_rescale or self.guidance_interval):
            raise ConfigError(
                "guidance_rescale and guidance_interval need guidance, which is off at guidance_scale "
                f"{self.guidance_scale:g}: set guidance_scale, too"
            )
        if self.strength != 1 and (self.origin is None or self.origin.image is None):
            raise ConfigError(
                f"strength {shown(self.strength)} needs an initial image to change: give the image (--init-image), too"
            )

    def _check_text(self) -> None:
        for index in range(len(self.prompts)):
            self.prompt(index)
        if self.between_prompts and (len(self.prompts) != 2 or self.num_images < 2):
            given = f"{len(self.prompts)} and {self.num_images}"
            raise ConfigError(f"between_prompts needs two prompts and at least two images, not {given}")
        whole_number("clip_skip", self.clip_skip, low=0, high=100)
        text_options = (self.long_prompt, self.prompt_weights, self.clip_skip)
        if not self.prompts and (self.negative_prompt is not None or any(text_options)):
            raise ConfigError("negative_prompt, long_prompt, prompt_weights and clip_skip need a prompt: give one")
        if self.negative_prompt is not None and not self.guided:
            raise ConfigError(
                f"negative_prompt needs guidance, which is off at guidance_scale {self.guidance_scale:g}: "
                "set guidance_scale above 1"
            )

    @property
    def guided(self) -> bool:
        """Whether guidance is on: at any scale but 1; with prompts only above 1, as in diffusers; always with cfg++."""
        if self.guidance_mode == "cfg++":
            return True
        return self.guidance_scale > 1 if self.prompts else self.guidance_scale != 1

    @property
    def rows(self) -> int:
        """The most rows of one image in a network call: the predictions whose sum is the guided one."""
        if not self.guided:
            return 1
        return 3 if self.image_guidance_scale not in (None, 1, self.guidance_scale) else 2

    @functools.cached_property
    def step_cache(self) -> StepCache | None:
        """``cache`` with its threshold, as data; None without one."""
        return StepCache.parse("off" if self.cache is None else self.cache, self.cache_threshold)

    def chunks(self) -> Iterator[range]:
        """The indices of the images of each batch."""
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
        """The text of image ``index``; None for a model that takes no text."""
        if not self.prompts:
            return None
        text = self.prompts[index % len(self.prompts)]
        parsing: Any = {"long": self.long_prompt, "weighted": self.prompt_weights, "clip_skip": self.clip_skip}
        return Prompt(text=text, negative=self.negative_prompt, **parsing, loras=active(self.loras))

    def to_json(self) -> dict[str, Any]:
        """The request as JSON values; ``from_json`` makes the same request of them.

        The origin and the conditioning are stored as hashes only.
        """
        values = {name: getattr(self, name) for name in _ALWAYS_IN_RECIPES}
        values |= {
            name: list(value) if name in _LISTS else value
            for name, default in _written_if_changed().items()
            if (value := getattr(self, name)) != default
        }
        if self.origin is not None:
            values["origin"] = self.origin.to_json()
        if self.conditioning is not None:
            values["conditioning"] = self.conditioning.to_json()
        if self.loras:
            values["loras"] = [lora._asdict() for lora in self.loras]
        sampler = {"name": self.sampler.name, **changed_options(self.sampler)}
        if isinstance(self.sampler, RealTimeConfig):  # the recipe's version says it
            sampler.pop("whole_timesteps", None)
            values |= {} if self.sampler.whole_timesteps else {"recipe_version": REAL_TIMESTEPS}
        return {**values, "labels": list(self.labels), "sampler": sampler}

    @classmethod
    def from_json(
        cls, values: Mapping[str, Any], origin: Origin | None = None, conditioning: NamedArrays | None = None
    ) -> Self:
        """Read what ``to_json`` wrote. ConfigError if it is invalid, or the arrays are not those that were used."""
        check_recipe(values)
        try:
            plain = {name: values[name] for name in _ALWAYS_IN_RECIPES}
            loras = loras_from_json(values.get("loras", ()))
            labels, sampler = tuple(values["labels"]), sampler_from_json(**values["sampler"])
            if isinstance(sampler, RealTimeConfig) and values.get("recipe_version", 1) < REAL_TIMESTEPS:
                sampler = sampler.replace(whole_timesteps=True)
        except (KeyError, TypeError) as error:
            raise ConfigError(f"the recipe is incomplete or of another version: {error}") from None
        check_same_origin(values.get("origin", {}), origin)
        check_same_named(values.get("conditioning", {}), conditioning)
        others = {name: _list_to_tuple(values.get(name, default)) for name, default in _written_if_changed().items()}
        separate: dict[str, Any] = {"labels": labels, "loras": loras, "sampler": sampler}
        return cls(**plain, **others, **separate, origin=origin, conditioning=conditioning)


_ALWAYS_IN_RECIPES = ("num_images", "num_steps", "seed", "noise", "guidance_scale", "batch_size")
_WRITTEN_SEPARATELY = ("labels", "loras", "sampler", "origin", "conditioning")
_LISTS = ("prompts", "control_scale", "ip_adapter_scale", "shape")


@functools.cache
def _written_if_changed() -> Mapping[str, Any]:
    """The fields that a recipe has only if they differ from their default, with that default, in order."""
    separate = (*_ALWAYS_IN_RECIPES, *_WRITTEN_SEPARATELY)
    return {field.name: field.default for field in dataclasses.fields(Request) if field.name not in separate}


def _list_to_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
