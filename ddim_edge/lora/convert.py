"""Converts a trainer's LoRA file to an adapter of a bundle, whose networks have LoRA slots. Needs no PyTorch."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..arrays import Array
from ..bundle.bundle import Bundle
from ..bundle.json_files import read_optional
from ..bundle.layout import CONFIG, LORA_DOWN, LORA_UP
from ..bundle.lora_slots import LoraSlots, declared_slots
from ..bundle.record import record_files
from ..errors import ConfigError
from ..files import output_errors
from ..graphs.inputs import Declared
from .adapter import RANK, SOURCE, adapter_path, rank_axis
from .safetensors import write_safetensors
from .trained import Change, TrainedLora

Inputs = Mapping[str, Declared]


class Converted(NamedTuple):
    """An adapter that was added to a bundle: its file, its rank, how many layers it changes, and its bytes."""

    path: Path
    rank: int
    layers: int
    nbytes: int


def add_adapter(bundle: Bundle, lora: TrainedLora, name: str) -> Converted:
    """Add a LoRA to ``bundle`` as ``name``, in the place of one of that name.

    ConfigError where the bundle has no slots, or the LoRA does not fit; OutputError where it cannot be written.
    """
    path = adapter_path(bundle.folder, name)
    declared = declared_slots(bundle.folder)
    slots = _slots(bundle, declared)
    if lora.scale != 1:
        used = f"run --lora {name}:{lora.scale:g}"
        raise ConfigError(f"a LoRA's scale is given where it is used: leave it out here, and {used}")
    lora.check_components(declared, bundle.name)
    changes = [
        (component, change)
        for component, inputs in declared.items()
        for change in lora.changes(component, _shapes(inputs), read_optional(bundle.folder / component / CONFIG))
    ]
    rank = max(change.rank for _, change in changes)
    if rank > slots.rank:
        raise ConfigError(
            f"{lora.path} has rank {rank}, and the slots of {bundle.name} take up to {slots.rank}: export it with "
            f"--lora-rank {rank}, or put the LoRA into its weights with --fuse OUT"
        )
    arrays = {
        f"{component}/{key}": matrix
        for component, change in changes
        for key, matrix in _matrices(change, declared[component], rank)
    }
    with output_errors(path):
        path.parent.mkdir(exist_ok=True)
    write_safetensors(path, arrays, {RANK: str(rank), SOURCE: lora.path.name})
    record_files(bundle.folder, [path])
    return Converted(path, rank, len(changes), sum(matrix.nbytes for matrix in arrays.values()))


def _slots(bundle: Bundle, declared: Mapping[str, Inputs]) -> LoraSlots:
    if bundle.lora_slots is None or not declared:
        raise ConfigError(
            f"{bundle.name} has no LoRA slots: export it with --lora-slots, or put the LoRA into its weights with "
            "--fuse OUT"
        )
    return bundle.lora_slots


def _shapes(inputs: Inputs) -> dict[str, tuple[int, ...]]:
    """The shape of the weight of each layer that has slots: (out, in) or (out, in, 1, 1)."""
    shapes = {}
    for name, declared in inputs.items():
        if name.startswith(LORA_DOWN):
            layer = name.removeprefix(LORA_DOWN)
            down, up = declared.shape, inputs[LORA_UP + layer].shape
            axes = len(down)
            shape = (up[1 - rank_axis(LORA_UP, axes)], down[1 - rank_axis(LORA_DOWN, axes)], *down[2:])
            shapes[layer] = tuple(int(length) for length in shape)
    return shapes


def _matrices(change: Change, inputs: Inputs, rank: int) -> Iterator[tuple[str, Array]]:
    """Both matrices of a layer as the graph takes them, with zeros up to ``rank``."""
    up = change.up * np.float32(change.factor)
    for name, matrix in ((LORA_DOWN, change.down), (LORA_UP, up)):
        declared = inputs[name + change.layer]
        axes = len(declared.shape)
        # Of both, the trainers' first axis is that of the outputs; a graph's linear layer takes it last.
        laid = matrix.reshape(*matrix.shape[:2], *[1] * (axes - 2)) if axes == 4 else matrix.T
        padding = [(0, 0)] * axes
        axis = rank_axis(name, axes)
        padding[axis] = (0, rank - laid.shape[axis])
        yield name + change.layer, np.pad(laid, padding).astype(np.float16 if declared.is_half else np.float32)
