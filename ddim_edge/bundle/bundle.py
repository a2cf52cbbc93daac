"""A bundle: a model folder in the diffusers layout whose networks are ONNX."""

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..arrays import Shape
from ..diffusion.samplers import SamplerConfig, sampler_config
from ..errors import ConfigError, choose_from
from ..files import sha256_of_all
from ..graphs.external_data import check_onnx_file
from .control_config import ControlConfig
from .layout import CLASS_INPUT, SAFETY_CHECKER, component_named, graphs_of
from .unet_inputs import NO_INPUTS, UnetInputs, check_sides
from .vae_config import VaeConfig

NO_CLASS = "none"
"""What the null class is called."""


@dataclass(frozen=True)
class Bundle:
    """What a model folder says of itself.

    Attributes:
        folder: where it lies.
        name: what it is called in recipes and messages.
        sample_shape: (C, H, W) of one sample, latents where there is an autoencoder, at the size of a usual image.
        scheduler: the sampler that the model was made for.
        scheduler_keys: what its scheduler file says.
        labels: the class names, "0", "1", … where it has classes without names; empty without classes.
        null_class: the class that stands for "no class", for guidance; None where it has none.
        num_steps: how many steps the model is usually sampled with, by its own sampler.
        inputs: what its UNet is fed.
        vae: the autoencoder whose latents it makes; None where it makes images themselves.
        controls: its ControlNets.
    """

    folder: Path
    name: str
    sample_shape: tuple[int, int, int]
    scheduler: SamplerConfig
    scheduler_keys: Mapping[str, Any]
    labels: tuple[str, ...]
    null_class: int | None
    num_steps: int
    inputs: UnetInputs = NO_INPUTS
    vae: VaeConfig | None = None
    controls: tuple[ControlConfig, ...] = ()

    def image_shape(self, height: int | None = None, width: int | None = None) -> Shape:
        """(C, H, W) of an image of that size in pixels, each side the usual one where it is None.

        Raises ConfigError, with the nearest valid sides, for one that the networks cannot make.
        """
        channels, *usual = self.sample_shape
        factor = self.vae.factor if self.vae else 1
        sides = [side * factor if given is None else given for given, side in zip((height, width), usual, strict=True)]
        if (height, width) != (None, None):
            check_sides(sides[0], sides[1], factor * self.inputs.multiple)
        return self.vae.image_channels if self.vae else channels, sides[0], sides[1]

    def sample_shape_for(self, height: int | None = None, width: int | None = None) -> Shape:
        """(C, H, W) of the sample of such an image; ConfigError as ``image_shape``."""
        factor = self.vae.factor if self.vae else 1
        _, *sides = self.image_shape(height, width)
        return self.sample_shape[0], sides[0] // factor, sides[1] // factor

    @property
    def has_safety_checker(self) -> bool:
        return SAFETY_CHECKER.is_in(self.folder)

    @property
    def conditioning_names(self) -> set[str]:
        """The names of the UNet's inputs beside sample and timestep, by what the bundle's files say."""
        return self.inputs.names or ({CLASS_INPUT} if self.labels else set())

    def sampler(self, name: str) -> SamplerConfig:
        """The options of a sampler for this model; ConfigError where it has none or cannot follow the model."""
        return sampler_config(self.scheduler_keys, name)

    def default_steps(self, config: SamplerConfig) -> int:
        """The number of steps where the user says none: for the model's own sampler what its scheduler file says."""
        return self.num_steps if config.name == self.scheduler.name else default_steps_of(config)

    @functools.cached_property
    def sha256(self) -> str:
        """The hash of the graphs and weights that make images, the UNet's first, as hexadecimal."""
        graphs = sorted(graphs_of(self.folder), key=lambda graph: component_named(graph.parent.name).hash_rank)
        return sha256_of_all(file for graph in graphs for file in (graph, *sorted(check_onnx_file(graph, self.folder))))

    def class_index(self, label: str | int) -> int:
        """The class of a name or number; ConfigError, with the nearest name, for one that is not there."""
        if not self.labels:
            raise ConfigError(f"{self.name} has no classes: leave the labels out")
        text = str(label).strip().lower()
        if text == NO_CLASS and self.null_class is not None:
            return self.null_class
        lowered = [name.lower() for name in self.labels]
        if text in lowered:
            return lowered.index(text)
        if re.fullmatch(r"-?[0-9]{1,18}", text):
            if 0 <= int(text) < len(self.labels):
                return int(text)
            raise ConfigError(f"label {text} is out of range: {self.name} has the classes 0 to {len(self.labels) - 1}")
        raise ConfigError(choose_from("label", label, self.labels))

    def label_name(self, label: int) -> str:
        """The name of a class, or "none" for the null class."""
        return NO_CLASS if label == self.null_class else self.labels[label]


def default_steps_of(config: SamplerConfig) -> int:
    """The sampler's own usual number of steps, at most the number of training steps."""
    return min(config.usual_steps, config.num_train_steps)
