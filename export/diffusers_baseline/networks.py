"""diffusers' networks for a bundle: those that it was exported from, or the same shapes with random weights."""

import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from ddim_edge.config import read_json
from ddim_edge.errors import ConfigError

# Lazy modules whose classes no type checker sees through.
diffusers: Any = importlib.import_module("diffusers")

_TEXT_ENCODERS = ("text_encoder", "text_encoder_2")
DTYPES = {"fp32": torch.float32, "fp16": torch.float16}


class Networks(NamedTuple):
    """What a pipeline of diffusers has; ``vae`` is None where samples are images."""

    unet: Any
    text_encoders: tuple[Any, ...]
    vae: Any
    scheduler: Any


class Place(NamedTuple):
    """Where networks come from, and where they go."""

    bundle: Path
    source: Path | None
    device: str
    dtype: torch.dtype


def load_networks(place: Place) -> Networks:
    """All that the bundle, or its source, has. ConfigError where one is nothing that diffusers knows."""
    unet = _network(place, ("unet", ""), ("unet",))
    if unet is None:
        raise ConfigError(f"{place.bundle / 'unet' / 'config.json'} names no class of diffusers: give --source")
    text_encoders = [_network(place, (name,), (name,)) for name in _TEXT_ENCODERS]
    wide = text_encoders[1] is not None  # SDXL, whose autoencoder overflows in fp16 where its config says so
    keys = read_json(place.bundle / "scheduler" / "scheduler_config.json")
    return Networks(
        unet=unet,
        text_encoders=tuple(text_encoder for text_encoder in text_encoders if text_encoder is not None),
        vae=_network(place, ("vae", "vqvae"), ("vae_decoder",), upcast=wide),
        scheduler=diffusers.DDIMScheduler.from_config(keys),
    )


def _network(place: Place, saved: tuple[str, ...], shapes: tuple[str, ...], *, upcast: bool = False) -> Any:
    """The first of the source's folders ``saved`` that is there, else a network of the bundle's configs ``shapes``."""
    for name in saved if place.source is not None else ():
        folder = place.source / name  # type: ignore[operator, unused-ignore]
        if (folder / "config.json").is_file():
            keys = read_json(folder / "config.json")
            network = _class_of(keys).from_pretrained(folder, local_files_only=True)
            return _placed(network, place, keys, upcast=upcast)
    for name in shapes:
        path = place.bundle / name / "config.json"
        keys = read_json(path) if path.is_file() else {}
        if "_class_name" in keys or "architectures" in keys:
            return _placed(_random(keys, place.device), place, keys, upcast=upcast)
    return None


def _placed(network: Any, place: Place, keys: Mapping[str, Any], *, upcast: bool) -> Any:
    dtype = torch.float32 if upcast and keys.get("force_upcast") else place.dtype
    return network.to(place.device, dtype).eval().requires_grad_(False)


def _random(keys: Mapping[str, Any], device: str) -> Any:
    """Random weights, drawn where they will be used: billions of them take minutes on a CPU."""
    torch.manual_seed(0)
    kind = _class_of(keys)
    with torch.device(device):
        if "architectures" not in keys:
            return kind.from_config(dict(keys))
        return kind(kind.config_class.from_dict(dict(keys)))


def _class_of(keys: Mapping[str, Any]) -> Any:
    """The class that a config names; diffusers says ``_class_name``, transformers ``architectures``."""
    name = str(keys.get("_class_name") or json.loads(json.dumps(keys["architectures"]))[0])
    library = diffusers if "_class_name" in keys else importlib.import_module("transformers")
    if not hasattr(library, name):
        raise ConfigError(f"{library.__name__} has no {name}: install a version that has")
    return getattr(library, name)
