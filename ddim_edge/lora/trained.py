"""Reads LoRA files as trainers write them: low-rank changes of the weights of a pipeline's networks.

W' = W + scale · alpha/rank · up @ down (Hu et al. 2021). The files are safetensors with the names of kohya's trainers,
of PEFT, or of diffusers before it used PEFT.
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config import parse_json
from ..config.schema import check_json, mapping_of, real
from ..errors import ConfigError, listed, shown
from ..graphs.file_hashes import read_sha256
from .key_names import Key, aliases, read_key
from .safetensors import SafetensorsFile, open_safetensors
from .scale import name_and_scale

_COMPONENTS = ("unet", "text_encoder", "text_encoder_2")
_METADATA = {f"{name}.lora_alpha": real(0, 1e6) for name in _COMPONENTS} | {
    f"{name}.alpha_pattern": mapping_of(real(0, 1e6)) for name in _COMPONENTS
}


@dataclass(frozen=True)
class Change:
    """The change of one layer's weight: factor · up @ down.

    Attributes:
        layer: its name in its network.
        down: float32 (rank, in) of a linear layer, (rank, in, height, width) of a convolution.
        up: float32 (out, rank).
        factor: alpha/rank.
    """

    layer: str
    down: NDArray[np.float32]
    up: NDArray[np.float32]
    factor: float

    @property
    def rank(self) -> int:
        """The number of rows of ``down``."""
        return len(self.down)

    def of_weight(self, scale: float) -> NDArray[np.float32]:
        """What is added to the weight at ``scale``, float32 (out, in, …)."""
        change = np.float32(scale * self.factor) * (self.up @ self.down.reshape(self.rank, -1))
        return change.reshape(len(self.up), *self.down.shape[1:])


@dataclass(frozen=True, kw_only=True)
class TrainedLora:
    """A LoRA file and its scale."""

    file: SafetensorsFile
    scale: float
    keys: tuple[Key, ...]
    alphas: Mapping[str, Any]
    """PEFT's metadata, such as ``unet.lora_alpha``."""

    @property
    def path(self) -> Path:
        """The file's path."""
        return self.file.path

    def to_json(self) -> dict[str, Any]:
        """The entry in export.json."""
        entry = {"sha256": read_sha256(self.path), "size": self.path.stat().st_size}
        return {"file": self.path.name, "scale": self.scale, **entry}

    def check_components(self, components: Iterable[str], whose: object) -> None:
        """Raise ConfigError for a change of a network that is not one of ``components``, which ``whose`` has."""
        names = list(components)
        for key in self.keys:
            if key.component not in names:
                raise ConfigError(
                    f"{self.path} changes a {key.component}, by {key.name} among others, which {whose} does "
                    f"not have; it has {', '.join(names)}"
                )

    def changes(
        self, component: str, shapes: Mapping[str, tuple[int, ...]], config: Mapping[str, Any]
    ) -> Iterator[Change]:
        """The changes of one component, layer by layer; ``shapes`` are those of the weights that can be changed.

        ConfigError for a key without a layer, or of another shape. ``config``: the component's config.json.
        """
        wanted: dict[str, dict[str, str]] = {}
        for key in self.keys:
            if key.component == component:
                wanted.setdefault(key.target, {})[key.role] = key.name
        known = {alias: layer for layer in shapes for alias in aliases(layer, config.get("layers_per_block"))}
        self._check_known(component, wanted, known)
        for target in sorted(wanted):
            yield self._change(component, known[target], shapes[known[target]], wanted[target])

    def _check_known(self, component: str, wanted: Iterable[str], known: Mapping[str, str]) -> None:
        unknown = sorted(set(wanted) - known.keys())
        if unknown:
            nearest = difflib.get_close_matches(unknown[0], known, n=3, cutoff=0.0)
            raise ConfigError(
                f"{self.path}: {len(unknown)} keys match no layer of the {component}, {shown(unknown[0])} among them; "
                f"the closest layers are {listed(known[name] for name in nearest)}. It may be of another base model"
            )

    def _change(self, component: str, layer: str, shape: tuple[int, ...], names: Mapping[str, str]) -> Change:
        name = f"{component}.{layer}"
        if not names.keys() >= {"down", "up"}:
            raise ConfigError(f"{self.path} has only one of the two matrices for {name}")
        parts = {role: self.file.read(key) for role, key in names.items()}
        down, up = (parts[role].reshape(len(parts[role]), -1) for role in ("down", "up"))
        rank = len(down)
        if not rank or up.shape != (shape[0], rank) or down.shape[1] != prod(shape[1:]):
            shapes = f"{parts['up'].shape} by {parts['down'].shape}"
            raise ConfigError(
                f"{self.path}: {shapes} does not fit {name}, which is {shape}. It may be of another base model"
            )
        alpha = float(parts["alpha"]) if "alpha" in parts else _peft_alpha(self.alphas, component, layer, rank)
        return Change(layer, down.reshape(rank, *shape[1:]), up, alpha / rank)


def read_trained(argument: str) -> TrainedLora:
    """Read the names, not the weights, in FILE or FILE:SCALE. ConfigError for a file that is not a LoRA."""
    name, scale = name_and_scale(argument)
    file = open_safetensors(Path(name), "the LoRA ")
    keys = []
    for tensor in file.tensors:
        key = read_key(tensor)
        if key is None:
            raise ConfigError(f"{name}: {shown(tensor)} is not a known LoRA key (of kohya, PEFT or diffusers)")
        keys.append(key)
    if not keys:
        raise ConfigError(f"{name} has no weights: it is no LoRA")
    alphas = parse_json(file.metadata.get("lora_adapter_metadata", "{}"), f"{name}: lora_adapter_metadata")
    check_json(alphas, _METADATA, f"{name}: lora_adapter_metadata")
    return TrainedLora(file=file, scale=scale, keys=tuple(keys), alphas=alphas)


def _peft_alpha(alphas: Mapping[str, Any], component: str, layer: str, rank: int) -> float:
    """PEFT's alpha: one number per component with exceptions per layer. Without it, alpha/rank is 1."""
    special = alphas.get(f"{component}.alpha_pattern") or {}
    return float(special.get(layer) or alphas.get(f"{component}.lora_alpha") or rank)
