"""Loads diffusers' networks for a bundle: those that it was exported from, or the same ones with random weights."""

import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from ddim_edge.config import read_json
from ddim_edge.errors import ConfigError

# A lazy module whose classes a type checker cannot see.
diffusers: Any = importlib.import_module("diffusers")

_TEXT_ENCODERS = ("text_encoder", "text_encoder_2")
DTYPES = {"fp32": torch.float32, "fp16": torch.float16}


class Networks(NamedTuple):
    """The parts of a diffusers pipeline. ``vae`` is None if samples are images."""

    unet: Any
    text_encoders: tuple[Any, ...]
    vae: Any
    scheduler: Any


class Placement(NamedTuple):
    """Where networks are loaded from, and to which device and data type."""

    bundle: Path
    source: Path | None
    device: str
    dtype: torch.dtype


def load_networks(placement: Placement) -> Networks:
    """Load all networks of the bundle or its source. ConfigError for a class that diffusers does not have."""
    unet = _network(placement, ("unet", ""), ("unet",))
    if unet is None:
        raise ConfigError(f"{placement.bundle / 'unet' / 'config.json'} names no class of diffusers: give --source")
    text_encoders = [_network(placement, (name,), (name,)) for name in _TEXT_ENCODERS]
    is_sdxl = text_encoders[1] is not None  # its autoencoder overflows in fp16 if its config has force_upcast
    keys = read_json(placement.bundle / "scheduler" / "scheduler_config.json")
    return Networks(
        unet=unet,
        text_encoders=tuple(text_encoder for text_encoder in text_encoders if text_encoder is not None),
        vae=_network(placement, ("vae", "vqvae"), ("vae_decoder",), upcast=is_sdxl),
        scheduler=diffusers.DDIMScheduler.from_config(keys),
    )


def _network(placement: Placement, saved: tuple[str, ...], shapes: tuple[str, ...], *, upcast: bool = False) -> Any:
    """The first existing one of the source's folders ``saved``; otherwise a network with a config of ``shapes``."""
    for name in saved if placement.source is not None else ():
        folder = placement.source / name  # type: ignore[operator, unused-ignore]
        if (folder / "config.json").is_file():
            keys = read_json(folder / "config.json")
            network = _class_of(keys).from_pretrained(folder, local_files_only=True)
            return _to_device(network, placement, keys, upcast=upcast)
    for name in shapes:
        path = placement.bundle / name / "config.json"
        keys = read_json(path) if path.is_file() else {}
        if "_class_name" in keys or "architectures" in keys:
            return _to_device(_random(keys, placement.device), placement, keys, upcast=upcast)
    return None


def _to_device(network: Any, placement: Placement, keys: Mapping[str, Any], *, upcast: bool) -> Any:
    dtype = torch.float32 if upcast and keys.get("force_upcast") else placement.dtype
    return network.to(placement.device, dtype).eval().requires_grad_(False)


def _random(keys: Mapping[str, Any], device: str) -> Any:
    """A network with random weights, drawn on its device: billions of them take minutes on a CPU."""
    torch.manual_seed(0)
    kind = _class_of(keys)
    with torch.device(device):
        if "architectures" not in keys:
            return kind.from_config(dict(keys))
        return kind(kind.config_class.from_dict(dict(keys)))


def _class_of(keys: Mapping[str, Any]) -> Any:
    """The class that a config names: ``_class_name`` in diffusers, ``architectures`` in transformers."""
    name = str(keys.get("_class_name") or json.loads(json.dumps(keys["architectures"]))[0])
    library = diffusers if "_class_name" in keys else importlib.import_module("transformers")
    if not hasattr(library, name):
        raise ConfigError(f"{library.__name__} has no {name}: install a version that has it")
    return getattr(library, name)
