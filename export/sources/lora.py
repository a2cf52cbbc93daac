"""Reads LoRA files, low-rank changes of weights, and adds them to the weights before the export.

W' = W + scale · alpha/rank · up @ down (Hu et al. 2021). The files are safetensors with the names of kohya's trainers,
of PEFT, or of diffusers before it used PEFT.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from ddim_edge.config import parse_json
from ddim_edge.config.schema import check_json, mapping_of, real
from ddim_edge.errors import ConfigError, shown
from ddim_edge.files import open_regular

from ..output.record import file_entry
from .diffusers_folder import Source
from .lora_names import Key, aliases, read_key

_LARGEST_SCALE = 1000.0
_COMPONENTS = ("unet", "text_encoder", "text_encoder_2")
_METADATA = {f"{name}.lora_alpha": real(0, 1e6) for name in _COMPONENTS} | {
    f"{name}.alpha_pattern": mapping_of(real(0, 1e6)) for name in _COMPONENTS
}


@dataclass(frozen=True, kw_only=True)
class Lora:
    """A LoRA file and its scale."""

    path: Path
    scale: float
    keys: tuple[Key, ...]
    alphas: Mapping[str, Any]
    """PEFT's metadata, such as ``unet.lora_alpha``."""

    def to_json(self) -> dict[str, Any]:
        """The entry in export.json."""
        return {"file": self.path.name, "scale": self.scale, **file_entry(self.path)}


def read_lora(argument: str) -> Lora:
    """Read the names, not the weights, in FILE or FILE:SCALE. ConfigError for a file that is not a LoRA."""
    path, scale = _file_and_scale(argument)
    try:
        open_regular(path).close()
        with safe_open(path, "pt") as file:
            names, metadata = list(file.keys()), file.metadata() or {}
    except (OSError, ValueError, SafetensorError) as error:
        raise ConfigError(
            f"cannot read the LoRA {path}: {shown(str(error))}; give a file in safetensors, or FILE:SCALE"
        ) from None
    keys = []
    for name in names:
        key = read_key(name)
        if key is None:
            raise ConfigError(f"{path}: {shown(name)} is not a known LoRA key (of kohya, PEFT or diffusers)")
        keys.append(key)
    alphas = parse_json(metadata.get("lora_adapter_metadata", "{}"), f"{path}: lora_adapter_metadata")
    check_json(alphas, _METADATA, f"{path}: lora_adapter_metadata")
    return Lora(path=path, scale=scale, keys=tuple(keys), alphas=alphas)


def check_targets(loras: tuple[Lora, ...], source: Source) -> None:
    """ConfigError for a LoRA of a component that the source does not have."""
    for lora in loras:
        for key in lora.keys:
            if key.component not in source.graphs:
                raise ConfigError(
                    f"{lora.path} changes a {key.component}, by {key.name} among others, which {source.folder} does "
                    f"not have; it has {', '.join(source.graphs)}"
                )


def add_lora(module: torch.nn.Module, lora: Lora, component: str) -> None:
    """Add a LoRA to the weights of one component. ConfigError for a key without a layer, or of another shape."""
    wanted = {key.target for key in lora.keys if key.component == component}
    targets = _targets(module)
    unknown = sorted(wanted - targets.keys())
    if unknown:
        nearest = difflib.get_close_matches(unknown[0], targets, n=3, cutoff=0.0)
        raise ConfigError(
            f"{lora.path}: {len(unknown)} keys match no layer of the {component}, {shown(unknown[0])} among them; the "
            f"closest layers are {', '.join(targets[name][0] for name in nearest)}"
        )
    with safe_open(lora.path, "pt") as file, torch.no_grad():
        for target in sorted(wanted):
            keys = {key.role: key.name for key in lora.keys if (key.component, key.target) == (component, target)}
            name, layer = targets[target]
            parts = {role: file.get_tensor(key).float() for role, key in keys.items()}
            _add(layer, parts, lora, f"{component}.{name}")


def _file_and_scale(argument: str) -> tuple[Path, float]:
    name, colon, number = argument.rpartition(":")
    try:
        scale = float(number) if colon else 1.0
    except ValueError:
        return Path(argument), 1.0
    if not abs(scale) <= _LARGEST_SCALE:
        raise ConfigError(f"the scale of {argument} must be a number from -{_LARGEST_SCALE:g} to {_LARGEST_SCALE:g}")
    return Path(name) if colon else Path(argument), scale


def _targets(module: torch.nn.Module) -> dict[str, tuple[str, Any]]:
    """The layers that a LoRA can change, by each of their possible names."""
    layers = [
        (name, part) for name, part in module.named_modules() if isinstance(getattr(part, "weight", None), torch.Tensor)
    ]
    config: Any = module.config
    return {alias: (name, layer) for name, layer in layers for alias in aliases(name, config)}


def _add(layer: Any, parts: Mapping[str, torch.Tensor], lora: Lora, name: str) -> None:
    if not parts.keys() >= {"down", "up"}:
        raise ConfigError(f"{lora.path} has only one of the two matrices for {name}")
    down, up = parts["down"].flatten(1), parts["up"].flatten(1)
    if not len(down) or down.shape[0] != up.shape[1] or up.shape[0] * down.shape[1] != layer.weight.numel():
        shapes = f"{tuple(parts['up'].shape)} by {tuple(parts['down'].shape)}"
        raise ConfigError(f"{lora.path}: {shapes} does not fit {name}, which is {tuple(layer.weight.shape)}")
    rank = len(down)
    alpha = float(parts["alpha"]) if "alpha" in parts else _peft_alpha(lora.alphas, name, rank)
    layer.weight += (lora.scale * alpha / rank * (up @ down)).reshape(layer.weight.shape)


def _peft_alpha(alphas: Mapping[str, Any], name: str, rank: int) -> float:
    """PEFT's alpha: one number per component with exceptions per layer. Without it, alpha/rank is 1."""
    component, _, layer = name.partition(".")
    special = alphas.get(f"{component}.alpha_pattern") or {}
    return float(special.get(layer) or alphas.get(f"{component}.lora_alpha") or rank)
