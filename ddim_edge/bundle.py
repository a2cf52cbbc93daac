"""A bundle: a model folder in the diffusers layout whose networks are ONNX."""

import functools
import hashlib
import importlib.util
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .config import SamplerConfig, read_json, sampler_config
from .controlnet import ControlConfig
from .errors import BundleError, ConfigError, choose_from
from .inputs import NO_INPUTS, Shape, UnetInputs, check_sides
from .onnx_file import check_onnx_file
from .samplers import schedule_of
from .session import Session, Turns
from .vae import VaeConfig

BUNDLED_PACKAGE = "ddim_edge_models"
NO_CLASS = "none"
"""What the null class is called."""
_MAKERS = ("unet", "text_encoder", "text_encoder_2", "vae_decoder", "vae_encoder", "safety_checker")
USUAL_STEPS = 50
USUAL_LCM_STEPS = 4


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

    def shape_of(self, height: int | None = None, width: int | None = None) -> Shape:
        """(C, H, W) of the sample of such an image; ConfigError as ``image_shape``."""
        factor = self.vae.factor if self.vae else 1
        _, *sides = self.image_shape(height, width)
        return self.sample_shape[0], sides[0] // factor, sides[1] // factor

    @property
    def has_safety_checker(self) -> bool:
        return (self.folder / "safety_checker" / "model.onnx").is_file()

    def open_unet(self, provider: str = "auto", turns: Turns | None = None) -> Session:
        """Check the UNet's files and open it; BundleError or ProviderError where that fails."""
        path = self.folder / "unet" / "model.onnx"
        check_onnx_file(path, self.folder)
        return Session(path, provider, turns=turns)

    def sampler(self, name: str) -> SamplerConfig:
        """The options of a sampler for this model; ConfigError where it has none or cannot follow the model."""
        return sampler_config(self.scheduler_keys, name)

    def usual_steps(self, config: SamplerConfig) -> int:
        """How many steps a sampler makes where nobody says: the model's own as many as its file says, others 50."""
        return self.num_steps if config.name == self.scheduler.name else _usual_steps(config)

    @functools.cached_property
    def sha256(self) -> str:
        """The hash of the graphs and weights that make images, the UNet's first, as hexadecimal."""
        makers = (*_MAKERS, *(control.name for control in self.controls))
        graphs = [path for name in makers if (path := self.folder / name / "model.onnx").is_file()]
        digest = hashlib.sha256()
        for path in graphs:
            for part in (path, *sorted(check_onnx_file(path, self.folder))):
                with open(part, "rb") as file:
                    digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()

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


def bundled_folder() -> Path | None:
    """The folder of the models that ride along with the package; None where it is not installed with them."""
    spec = importlib.util.find_spec(BUNDLED_PACKAGE)
    locations = spec.submodule_search_locations if spec else None
    return Path(next(iter(locations))) if locations else None


def bundled_names() -> list[str]:
    """The names of the bundled models."""
    folder = bundled_folder()
    return sorted(path.parent.name for path in folder.glob("*/model_index.json")) if folder else []


def open_bundle(model: str | os.PathLike[str]) -> Bundle:
    """Read a bundled model's name, or a folder; BundleError for a folder that is no bundle.

    The networks themselves are opened later, by ``open_unet``.
    """
    folder = _find(model)
    if not (folder / "unet" / "model.onnx").is_file():
        raise BundleError(_not_a_bundle(folder))
    index = _read(folder / "model_index.json", required=False)
    unet = _read(folder / "unet" / "config.json")
    labels = _labels(index, unet)
    keys, scheduler = _scheduler(folder / "scheduler" / "scheduler_config.json")
    vae = _vae(folder, index)
    return Bundle(
        folder=folder,
        name=os.fspath(model),
        sample_shape=_sample_shape(unet if vae is None else {**unet, "in_channels": vae.channels}, folder),
        scheduler=scheduler,
        scheduler_keys=keys,
        labels=labels,
        null_class=_null_class(index, unet),
        num_steps=_num_steps(keys, scheduler),
        inputs=UnetInputs.read(unet, vae),
        vae=vae,
        controls=_controls(folder, index),
    )


def _find(model: str | os.PathLike[str]) -> Path:
    names = bundled_names()
    if model in names:
        folder = bundled_folder()
        assert folder is not None
        return folder / model
    folder = Path(model)
    if not folder.is_dir():
        bundled = f"the bundled models are {', '.join(names)}" if names else "no models are bundled here"
        raise BundleError(f"no model {os.fspath(model)!r}: it is not a folder, and {bundled}")
    return folder


def _not_a_bundle(folder: Path) -> str:
    if (folder / "unet").is_dir() or (folder / "config.json").is_file():
        return f"{folder} has no unet/model.onnx: make a bundle of it with `ddim-edge export {folder} OUT`"
    return f"{folder} is no bundle: it has no unet/model.onnx"


def _read(path: Path, *, required: bool = True) -> Mapping[str, Any]:
    if not required and not path.exists():
        return {}
    try:
        return read_json(path)
    except ConfigError as error:
        raise BundleError(str(error)) from None


def _vae(folder: Path, index: Mapping[str, Any]) -> VaeConfig | None:
    """The autoencoder; BundleError where model_index.json names one whose decoder is not there."""
    config = VaeConfig.read(folder)
    named = [name for name in ("vae", "vqvae") if isinstance(index.get(name), list) and any(index[name])]
    if config is None and named:
        raise BundleError(
            f"{folder / 'vae_decoder' / 'model.onnx'} is missing, and model_index.json names a {named[0]}: export or "
            "copy it again"
        )
    return config


def _controls(folder: Path, index: Mapping[str, Any]) -> tuple[ControlConfig, ...]:
    """The ControlNets; BundleError where model_index.json names one and none is there."""
    try:
        controls = ControlConfig.read_all(folder)
    except (ConfigError, TypeError, ValueError) as error:
        raise BundleError(f"the bundle's ControlNets cannot be read ({error}): export them again") from None
    if not controls and isinstance(index.get("controlnet"), list) and any(index["controlnet"]):
        raise BundleError(
            f"{folder / 'controlnet' / 'model.onnx'} is missing, and model_index.json names it: export or copy it again"
        )
    return controls


def _scheduler(path: Path) -> tuple[Mapping[str, Any], SamplerConfig]:
    if not path.exists():
        raise BundleError(f"{path} is missing: it says which noise schedule the model was trained on")
    keys = _read(path)
    try:
        return keys, sampler_config(keys)
    except ConfigError as error:
        raise BundleError(f"{path}: {error}") from None


def _usual_steps(config: SamplerConfig) -> int:
    return min(USUAL_LCM_STEPS if config.name == "lcm" else USUAL_STEPS, config.num_train_steps)


def _num_steps(keys: Mapping[str, Any], scheduler: SamplerConfig) -> int:
    """The file's own ``num_inference_steps``, which diffusers does not know; else what is usual."""
    steps = keys.get("num_inference_steps")
    if steps is None:
        return _usual_steps(scheduler)
    try:
        schedule_of(scheduler, steps)
    except ConfigError as error:
        raise BundleError(f"scheduler_config.json's num_inference_steps {steps!r}: {error}") from None
    return int(steps)


def _sample_shape(unet: Mapping[str, Any], folder: Path) -> tuple[int, int, int]:
    channels, size = unet.get("in_channels"), unet.get("sample_size")
    sides: Sequence[Any] = size if isinstance(size, Sequence) else (size, size)
    values = (channels, *sides)
    if len(values) != 3 or not all(isinstance(value, int) and value > 0 for value in values):
        raise BundleError(
            f"{folder / 'unet' / 'config.json'} must say in_channels and sample_size (a side, or height and width); "
            f"it says {channels!r} and {size!r}"
        )
    return values


def _labels(index: Mapping[str, Any], unet: Mapping[str, Any]) -> tuple[str, ...]:
    names = index.get("id2label")
    if isinstance(names, Mapping) and names:
        return tuple(str(names.get(str(position), position)) for position in range(len(names)))
    classes = unet.get("num_class_embeds") or 0
    return tuple(str(position) for position in range(classes))


def _null_class(index: Mapping[str, Any], unet: Mapping[str, Any]) -> int | None:
    value, classes = index.get("null_class"), unet.get("num_class_embeds") or sys.maxsize
    if value is not None and (type(value) is not int or not 0 <= value < classes):
        raise BundleError(f"model_index.json's null_class must be a class number of the unet, not {value!r}")
    return value
