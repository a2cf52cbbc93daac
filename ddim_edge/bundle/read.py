"""Reads a bundle: finds a model's folder and reads its JSON files. No network is opened."""

import dataclasses
import difflib
import importlib.util
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..config.diffusers_names import NotBuiltError
from ..diffusion.samplers import DdimConfig, SamplerConfig, sampler_config, schedule_of
from ..errors import LONGEST_SHOWN, BundleError, ConfigError, shown
from .bundle import Bundle
from .control_config import ControlConfig
from .defaults import Defaults, default_steps_of
from .format import read_format
from .image_prompts import ImagePrompts
from .json_files import check_json_files, read_optional, read_required
from .layout import (
    CONFIG,
    CONTROLNET,
    DENOISERS,
    EXPORT_RECORD,
    GENERATION_CONFIG,
    INDEX,
    SCHEDULER,
    UNET,
    VAE_DECODER,
    denoiser_in,
)
from .lora_slots import read_slots
from .output import Output
from .picture_noise import PictureNoise
from .presets import read_presets
from .sample_shape import image_like_shape, read_sample_shape
from .unet_inputs import UnetInputs
from .vae_config import VaeConfig

BUNDLED_PACKAGE = "ddim_edge_models"


def bundled_folder() -> Path | None:
    """The folder of the models that come with the package; None if they are not installed."""
    spec = importlib.util.find_spec(BUNDLED_PACKAGE)
    locations = spec.submodule_search_locations if spec else None
    return Path(next(iter(locations))) if locations else None


def bundled_names() -> list[str]:
    """The names of the bundled models."""
    folder = bundled_folder()
    return sorted(path.parent.name for path in folder.glob(f"*/{INDEX}")) if folder else []


def open_bundle(model: str | os.PathLike[str]) -> Bundle:
    """Read a bundle, given a bundled model's name or a folder; BundleError for a folder that is not a bundle.

    No network is opened.
    """
    folder = _find_folder(model)
    number = read_format(folder)  # first: a newer format may have other files
    denoiser = denoiser_in(folder)
    if denoiser is None:
        raise BundleError(_not_a_bundle(folder))
    check_json_files(folder)
    index, path = _read_index(folder), folder / denoiser.name / CONFIG
    config = read_required(path)
    keys, scheduler = _scheduler(folder / SCHEDULER)
    vae = _vae(folder, index)
    inputs = UnetInputs.read(config, index, vae)
    labels = () if inputs.noises_picture else _labels(index, config)  # those are levels of noise
    shape = (
        read_sample_shape(config, path)
        if vae is None
        else image_like_shape({**config, "in_channels": vae.channels}, path)
    )
    bundle = Bundle(
        folder=folder,
        name=os.fspath(model),
        sample_shape=shape,
        output=Output.read(folder, shape, has_autoencoder=vae is not None),
        denoiser=denoiser,
        scheduler=scheduler,
        scheduler_keys=keys,
        labels=labels,
        null_class=_null_class(index, config),
        num_steps=_num_steps(keys, scheduler),
        inputs=inputs,
        lora_slots=read_slots(config),
        vae=vae,
        controls=_controls(folder, index),
        picture_noise=PictureNoise.read(folder, index) if inputs.noises_picture else None,
        image_prompts=ImagePrompts.read(folder),
        format=number,
        presets=read_presets(folder),
    )
    try:
        return with_defaults(bundle, Defaults.read(folder))
    except ConfigError as error:
        raise BundleError(f"{folder / GENERATION_CONFIG}: {error}") from None


def with_defaults(bundle: Bundle, defaults: Defaults) -> Bundle:
    """The bundle with its author's defaults; ConfigError for those that do not fit the model."""
    if defaults.num_steps is not None and bundle.scheduler is not None:
        schedule_of(bundle.scheduler, defaults.num_steps)
    if defaults.guidance_scale not in (None, 1) and bundle.null_class is None and not bundle.inputs.text:
        raise ConfigError("guidance_scale is for models of text or with a null class: leave it out")
    if defaults.negative_prompt is not None and not bundle.inputs.takes_negative_prompt:
        raise ConfigError("negative_prompt is for models of text without built-in guidance: leave it out")
    shape = bundle.sample_shape_for(defaults.height, defaults.width)
    steps = defaults.num_steps or bundle.num_steps
    return dataclasses.replace(bundle, sample_shape=shape, num_steps=steps, defaults=defaults)


def _find_folder(model: str | os.PathLike[str]) -> Path:
    names = bundled_names()
    if model in names:
        folder = bundled_folder()
        assert folder is not None
        return folder / model
    folder = Path(model)
    if not folder.is_dir():
        raise BundleError(_no_model(folder, os.fspath(model), names))
    return folder


def _no_model(path: Path, given: str, names: Sequence[str]) -> str:
    if path.is_file():
        advice = f"`ddim-edge export {path} OUT` makes a bundle of a checkpoint in safetensors"
        return f"no model {shown(given)}: it is a file, and a model is a folder; {advice}"
    bundled = f"the bundled models are {', '.join(names)}" if names else "no models are bundled here"
    nearest = difflib.get_close_matches(given[:LONGEST_SHOWN], names, n=1)
    hint = f". Did you mean {nearest[0]!r}?" if nearest else ""
    return f"no model {shown(given)}: it is not a folder, and {bundled}{hint}{_at_the_hub(path)}"


def _at_the_hub(path: Path) -> str:
    """For OWNER/NAME, how to get a model of the Hugging Face hub; else nothing."""
    if len(path.parts) != 2 or path.is_absolute() or path.parent.exists():
        return ""
    return (
        f". If it is a repository of the Hugging Face hub: `hf download {path} --local-dir {path.name}` gets its ONNX "
        f"graphs, and `ddim-edge export {path} {path.name}` makes a bundle of PyTorch weights"
    )


def _not_a_bundle(folder: Path) -> str:
    started = next((component for component in DENOISERS if (folder / component.name).is_dir()), None)
    if started is not None or (folder / "config.json").is_file():
        graph = (started or UNET).graph
        return f"{folder} has no {graph}: make a bundle of it with `ddim-edge export {folder} OUT`"
    return f"{folder} is not a bundle: it has no {UNET.graph}. Give a folder that `ddim-edge export` wrote"


def _read_index(folder: Path) -> Mapping[str, Any]:
    """model_index.json; empty for a network alone, which the export marks by the key "network" of its export.json.

    BundleError for an unfinished export: model_index.json is written last.
    """
    record = read_optional(folder / EXPORT_RECORD)
    if "unfinished" in record:
        raise BundleError(f"the export to {folder} is unfinished: run the same export again, and it goes on")
    if "network" in record and not (folder / INDEX).exists():
        return {}
    if not (folder / INDEX).exists():
        raise BundleError(
            f"{folder} has no {INDEX}, which is written last: its export or copy was interrupted. Run it again"
        )
    return read_required(folder / INDEX)


def _vae(folder: Path, index: Mapping[str, Any]) -> VaeConfig | None:
    """The autoencoder's config; BundleError if model_index.json names one and its decoder is missing."""
    config = VaeConfig.read(folder)
    named = [name for name in ("vae", "vqvae") if isinstance(index.get(name), list) and any(index[name])]
    if config is None and named:
        raise BundleError(
            f"{folder / VAE_DECODER.graph} is missing, and {INDEX} names a {named[0]}: export or copy it again"
        )
    return config


def _controls(folder: Path, index: Mapping[str, Any]) -> tuple[ControlConfig, ...]:
    """The ControlNets' configs; BundleError if model_index.json names one and none is there."""
    try:
        controls = ControlConfig.read_all(folder)
    except (ConfigError, TypeError, ValueError) as error:
        raise BundleError(f"the bundle's ControlNets cannot be read ({error}): export them again") from None
    if not controls and isinstance(index.get("controlnet"), list) and any(index["controlnet"]):
        raise BundleError(f"{folder / CONTROLNET.graph} is missing, and {INDEX} names it: export or copy it again")
    return controls


def _scheduler(path: Path) -> tuple[Mapping[str, Any], SamplerConfig | None]:
    """The keys of the scheduler file and the sampler; None if it is not built, but others work with its betas."""
    if not path.exists():
        raise BundleError(f"{path} is missing: it has the noise schedule of the model. Export or copy it again")
    keys = read_required(path)
    try:
        try:
            return keys, sampler_config(keys)
        except NotBuiltError:
            sampler_config(keys, DdimConfig.name)
            return keys, None
    except ConfigError as error:
        raise BundleError(f"{path}: {error}") from None


def _num_steps(keys: Mapping[str, Any], scheduler: SamplerConfig | None) -> int:
    """The default number of steps: the file's ``num_inference_steps``, a key of this project, else the sampler's."""
    steps = keys.get("num_inference_steps")
    if steps is None or scheduler is None:
        return default_steps_of(scheduler or DdimConfig())
    try:
        schedule_of(scheduler, steps)
    except ConfigError as error:
        raise BundleError(f"scheduler_config.json's num_inference_steps {shown(steps)}: {error}") from None
    return int(steps)


def _labels(index: Mapping[str, Any], config: Mapping[str, Any]) -> tuple[str, ...]:
    names = index.get("id2label")
    if isinstance(names, Mapping) and names:
        return tuple(str(names.get(str(position), position)) for position in range(len(names)))
    classes = config.get("num_class_embeds") or 0
    return tuple(str(position) for position in range(classes))


def _null_class(index: Mapping[str, Any], config: Mapping[str, Any]) -> int | None:
    value, classes = index.get("null_class"), config.get("num_class_embeds") or sys.maxsize
    if value is not None and (type(value) is not int or not 0 <= value < classes):
        raise BundleError(f"{INDEX}'s null_class must be a class number of the network, not {shown(value)}")
    return value
