"""Bundle: a model folder in the diffusers layout whose networks are ONNX graphs."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..arrays import Shape
from ..diffusion.samplers import SamplerConfig, sampler_config
from ..errors import ConfigError
from ..graphs.background_hash import BackgroundHash
from ..graphs.external_data import check_onnx_file
from ..graphs.inputs import Declared, declared_inputs
from ..graphs.same_files import SameFiles
from .class_names import NO_CLASS, class_number
from .control_config import ControlConfig
from .defaults import Defaults, default_steps_of
from .image_prompts import ImagePrompts
from .json_files import MAX_SIDE
from .layout import (
    CLASS_INPUT,
    POLICY,
    SAFETY_CHECKER,
    SHALLOW_MODEL,
    UNET,
    Component,
    component_named,
    graphs_of,
    is_free_input,
)
from .lora_slots import LoraSlots
from .output import IMAGE, Output
from .picture_noise import PictureNoise
from .unet_inputs import NO_INPUTS, UnetInputs, check_sides
from .vae_config import VaeConfig


@dataclass(frozen=True)
class Bundle:
    """A model folder: its path, and the contents of its JSON files.

    Attributes:
        folder: its path.
        name: its name in recipes and messages.
        sample_shape: that of one sample, without the batch: (C, H, W) of an image at the default size, or of its
            latents with an autoencoder; any shape for other models.
        output: what samples are: images or arrays.
        denoiser: the network that runs at every step: a UNet or a transformer.
        scheduler: the sampler that the model was made for; None if it is not built here, and others can be used.
        scheduler_keys: the contents of its scheduler file.
        labels: class names; "0", "1", … for classes without names; empty without classes.
        null_class: the class that means "no class", for guidance; None without one.
        num_steps: default number of steps of the model's own sampler.
        defaults: the other options that the model's author recommends.
        presets: sets of options that can be asked for by name, as of ``bundle.presets``.
        inputs: the UNet's inputs beside sample and timestep.
        lora_slots: how many LoRAs a call may have; None for a model without slots.
        vae: the autoencoder's config; None for a model without an autoencoder.
        controls: the configs of its ControlNets.
        picture_noise: what is added to the picture that an upscaler takes; None for other models.
        image_prompts: its IP-Adapters.
        format: the version of its format; None for one that another program made.
        files: the files that were opened or hashed, to notice that one was replaced. A copy by ``replace`` has its own.
    """

    folder: Path
    name: str
    sample_shape: tuple[int, ...]
    scheduler: SamplerConfig | None
    scheduler_keys: Mapping[str, Any]
    labels: tuple[str, ...]
    null_class: int | None
    num_steps: int
    output: Output = IMAGE
    denoiser: Component = UNET
    inputs: UnetInputs = NO_INPUTS
    lora_slots: LoraSlots | None = None
    vae: VaeConfig | None = None
    controls: tuple[ControlConfig, ...] = ()
    picture_noise: PictureNoise | None = None
    image_prompts: ImagePrompts = field(default_factory=ImagePrompts)
    format: int | None = None
    defaults: Defaults = field(default_factory=Defaults)
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    files: SameFiles = field(default_factory=SameFiles, init=False, compare=False, repr=False)

    def image_shape(self, height: int | None = None, width: int | None = None) -> Shape:
        """(C, H, W) of an image of that size in pixels; a side that is None has the default size.

        Raises ConfigError, with the nearest valid sides, for a size that the networks do not support, and for a model
        that makes no images.
        """
        if not self.output.is_image:
            raise ConfigError(f"{self.name} makes arrays of shape {self.sample_shape}, and no images")
        return self._image_like_shape(height, width)

    def _image_like_shape(self, height: int | None, width: int | None) -> Shape:
        """(C, H, W) of what a sample of three axes becomes."""
        channels, *defaults = self.sample_shape
        factor = self.vae.factor if self.vae else 1
        sides = [
            side * factor if given is None else given for given, side in zip((height, width), defaults, strict=True)
        ]
        if (height, width) != (None, None):
            check_sides(sides[0], sides[1], self.size_multiple, largest=self._largest_side)
        return self.vae.image_channels if self.vae else channels, sides[0], sides[1]

    @property
    def size_multiple(self) -> int:
        """What height and width of an image in pixels must be multiples of."""
        return (self.vae.factor if self.vae else 1) * self.inputs.multiple

    @property
    def _largest_side(self) -> int:
        """The most height or width of an image in pixels."""
        side = self.inputs.largest_side
        return MAX_SIDE if side is None else min(MAX_SIDE, side * (self.vae.factor if self.vae else 1))

    def sample_shape_for(self, height: int | None = None, width: int | None = None) -> tuple[int, ...]:
        """The shape of a sample for that height and width in pixels; a side that is None has the default size.

        ConfigError as in ``image_shape`` for sides that are not supported, and where samples are not (C, H, W).
        """
        if (height, width) == (None, None):
            return self.sample_shape
        if len(self.sample_shape) != 3:
            raise ConfigError(
                f"{self.name}'s samples have the shape {self.sample_shape}, without height and width: leave both out"
            )
        factor = self.vae.factor if self.vae else 1
        _, *sides = self._image_like_shape(height, width)
        return self.sample_shape[0], sides[0] // factor, sides[1] // factor

    @property
    def has_safety_checker(self) -> bool:
        return SAFETY_CHECKER.is_in(self.folder)

    @property
    def is_policy(self) -> bool:
        """Whether it is a robot policy: its samples are chunks of actions, decided from observations."""
        return (self.folder / POLICY).is_file()

    @property
    def has_shallow_graph(self) -> bool:
        """Whether it was exported with --step-cache."""
        return (self.folder / UNET.name / SHALLOW_MODEL).is_file()

    @property
    def conditioning_names(self) -> set[str]:
        """The names of the UNet's inputs beside sample and timestep, according to the JSON files, and the free ones."""
        described = self.inputs.names or ({CLASS_INPUT} if self.labels else set())
        return described | self.image_prompts.input_names | set(self.free_inputs)

    @functools.cached_property
    def free_inputs(self) -> Mapping[str, Declared]:
        """The UNet's inputs that no rule knows, in the graph's order: their values are given by name.

        BundleError for a UNet that is no ONNX graph.
        """
        return {name: found for name, found in self._graph_inputs.items() if is_free_input(name)}

    @functools.cached_property
    def free_axes(self) -> tuple[bool, ...]:
        """Which axes of a sample may have another length than that of ``sample_shape``.

        The UNet leaves them open, and no normalization or name belongs to each of their entries. BundleError for a UNet
        that is no ONNX graph.
        """
        rank, fixed = len(self.sample_shape), self.output.fixed_axis
        sample = self._graph_inputs.get("sample")
        if sample is None or len(sample.shape) != rank + 1:
            return (False,) * rank
        named = None if fixed is None else fixed % rank
        return tuple(isinstance(side, str) and axis != named for axis, side in enumerate(sample.shape[1:]))

    @functools.cached_property
    def _graph_inputs(self) -> Mapping[str, Declared]:
        return declared_inputs(self.folder / self.denoiser.graph)

    @property
    def own_sampler(self) -> SamplerConfig:
        """The sampler that the model was made for; ConfigError if it is not built here."""
        if self.scheduler is not None:
            return self.scheduler
        try:
            return sampler_config(self.scheduler_keys)
        except ConfigError as error:
            hint = "Choose a sampler, such as ddim: it is made from the betas of the model's scheduler file"
            raise ConfigError(f"{self.name}'s scheduler: {error} {hint}") from None

    def sampler(self, name: str) -> SamplerConfig:
        """The config of a sampler for this model; ConfigError if it is unknown or does not fit the model."""
        if name not in self._samplers:
            self._samplers[name] = sampler_config(self.scheduler_keys, name)
        return self._samplers[name]

    @functools.cached_property
    def _samplers(self) -> dict[str, SamplerConfig]:
        """Those asked for so far, by name: reading the keys takes as long as some steps of a small model."""
        return {}

    @functools.cached_property
    def takes_real_timesteps(self) -> bool:
        """Whether a timestep may be between two whole numbers. Exports of earlier versions take int64.

        BundleError for a UNet that is no ONNX graph.
        """
        timestep = self._graph_inputs.get("timestep")
        return timestep is not None and timestep.is_real

    def default_steps(self, config: SamplerConfig) -> int:
        """The default number of steps: the scheduler file's for the model's own sampler, else the sampler's."""
        is_own = self.scheduler is not None and config.name == self.scheduler.name
        return self.num_steps if is_own else default_steps_of(config)

    @property
    def sha256(self) -> str:
        """SHA-256 of the graphs and weights that make images, the UNet's first, as hexadecimal.

        Files are read for it only if this machine has not read them before, in their present state. Raises BundleError
        where a file was replaced after a network of this bundle was opened.
        """
        return self._hash.result()

    def start_hashing(self) -> None:
        """Begin to compute ``sha256``, which takes seconds if gigabytes have to be read; ``sha256`` waits for it.

        Raises BundleError for a graph that is not complete.
        """
        _ = self._hash

    @functools.cached_property
    def _hash(self) -> BackgroundHash:
        graphs = sorted(graphs_of(self.folder), key=lambda graph: component_named(graph.parent.name).hash_rank)
        files = [file for graph in graphs for file in (graph, *sorted(check_onnx_file(graph, self.folder)))]
        return BackgroundHash(files, self.files)

    def class_index(self, label: str | int) -> int:
        """The class of a name or number; ConfigError, with the nearest name, for an unknown one."""
        if not self.labels:
            instead = ", and give a prompt" if self.inputs.text else ""
            raise ConfigError(f"{self.name} has no classes: leave the labels out{instead}")
        return class_number(label, self.labels, self.null_class, self.name)

    def label_name(self, label: int) -> str:
        """The name of a class, or "none" for the null class."""
        return NO_CLASS if label == self.null_class else self.labels[label]
