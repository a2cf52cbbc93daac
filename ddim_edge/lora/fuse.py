"""Puts a LoRA into the weights of a copy of a bundle, without PyTorch and without a new export.

The changed numbers are written over those of the copy, so the graphs stay what they are.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ..bundle.bundle import Bundle
from ..bundle.json_files import read_optional
from ..bundle.layout import CONFIG, EXPORT_RECORD, MODEL, TRANSPOSED, WEIGHT_PREFIX
from ..bundle.lora_slots import WITH_LORA_SLOTS
from ..bundle.record import record_files
from ..config import read_json
from ..errors import ConfigError
from ..files import output_errors
from ..graphs.initializers import Weight, weights_of
from ..whole_folder import whole_folder
from .number_types import REAL, from_float32, to_float32
from .trained import Change, TrainedLora

_WEIGHT = ".weight"


class _Place(NamedTuple):
    """Where a layer's weight is in a graph."""

    weight: Weight
    transposed: bool

    @property
    def shape(self) -> tuple[int, ...]:
        """That of the layer: (out, in, …)."""
        return self.weight.shape[::-1] if self.transposed else self.weight.shape


def fuse_lora(bundle: Bundle, lora: TrainedLora, out: Path) -> int:
    """Write a copy of ``bundle`` with ``lora`` in its weights to the new folder ``out``. Returns the changed layers.

    ConfigError for a LoRA that does not fit, and for weights that are quantized or have no names; OutputError where
    nothing can be written.
    """
    components = [name for name in WITH_LORA_SLOTS if (bundle.folder / name).is_dir()]
    lora.check_components(components, bundle.name)
    changed = {key.component for key in lora.keys}
    layers = 0
    with whole_folder(out) as folder, output_errors(out):
        shutil.copytree(bundle.folder, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("compiled"))
        for component in sorted(changed):
            layers += _fuse_component(folder, component, lora)
        _record(folder, lora, changed)
    return layers


def _fuse_component(folder: Path, component: str, lora: TrainedLora) -> int:
    """Change the weights of every graph of a network: they may share files, in which each number is changed once."""
    whole = _places(folder / component / MODEL, folder)
    others = [path for path in sorted((folder / component).glob("*.onnx")) if path.name != MODEL]
    graphs = [whole, *(_places(graph, folder) for graph in others)]
    shapes = {layer: place.shape for layer, place in whole.items()}
    config, count = read_optional(folder / component / CONFIG), 0
    for change in lora.changes(component, shapes, config):
        found = [places[change.layer] for places in graphs if change.layer in places]
        for place in {(place.weight.path, place.weight.start): place for place in found}.values():
            _overwrite(place, change, lora.scale)
        count += 1
    return count


def _places(graph: Path, root: Path) -> Mapping[str, _Place]:
    """Where the weight of each layer is, by the layer's name. ConfigError for a graph without such names."""
    places = {}
    for weight in weights_of(graph, root):
        if weight.element not in REAL:
            continue
        name = weight.name.removeprefix(WEIGHT_PREFIX).removesuffix(TRANSPOSED)
        if weight.name.startswith(WEIGHT_PREFIX) and name.endswith(_WEIGHT):
            places[name.removesuffix(_WEIGHT)] = _Place(weight, weight.name.endswith(TRANSPOSED))
        elif len(weight.shape) == 2 and min(weight.shape) > 1:
            raise ConfigError(
                f"{graph.parent.name} does not name its weights, because an earlier version or another program "
                "exported it: export the model again, or with --lora FILE"
            )
    return places


def _overwrite(place: _Place, change: Change, scale: float) -> None:
    weight = place.weight
    with open(weight.path, "r+b") as file:
        file.seek(weight.start)
        before = to_float32(file.read(weight.size), weight.element).reshape(weight.shape)
        added = change.of_weight(scale)
        after = before + (added.T if place.transposed else added)
        file.seek(weight.start)
        file.write(from_float32(after, weight.element))


def _record(folder: Path, lora: TrainedLora, components: set[str]) -> None:
    """Update the hashes of the changed files, and note the LoRA, in the records of the networks and of the bundle."""
    files = [file for name in components for file in (folder / name).iterdir() if file.is_file()]
    for component in components:
        own = [file for file in files if file.parent.name == component and file.name != EXPORT_RECORD]
        record_files(folder / component, own, fused_loras=[*_fused(folder / component), lora.to_json()])
    record_files(folder, files, fused_loras=[*_fused(folder), lora.to_json()])


def _fused(folder: Path) -> list[object]:
    record = folder / EXPORT_RECORD
    return list(read_json(record).get("fused_loras", [])) if record.is_file() else []
