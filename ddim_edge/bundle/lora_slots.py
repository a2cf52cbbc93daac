"""LoRA slots: how many adapters a call of a bundle's networks may have, as the UNet's config.json says."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..config.schema import Check, whole
from ..graphs.file_state import FileState
from ..graphs.inputs import Declared, declared_inputs
from .layout import MODEL, is_lora_input

WITH_LORA_SLOTS = ("unet", "text_encoder", "text_encoder_2")
"""The networks that LoRAs change."""
MAX_SLOTS, MAX_RANK = 64, 1024
SCHEMA: Mapping[str, Check] = {"lora_slots": whole(1, MAX_SLOTS), "lora_rank": whole(1, MAX_RANK)}
"""The keys of this project in config.json."""


class LoraSlots(NamedTuple):
    """The most adapters of a call, and the largest rank of one."""

    slots: int
    rank: int

    @property
    def columns(self) -> int:
        """The most ranks of a call."""
        return self.slots * self.rank

    def to_json(self) -> dict[str, int]:
        """The keys of config.json."""
        return {"lora_slots": self.slots, "lora_rank": self.rank}


def read_slots(config: Mapping[str, Any]) -> LoraSlots | None:
    """The slots that a config.json says; None for a network without any."""
    slots, rank = config.get("lora_slots"), config.get("lora_rank")
    return None if slots is None or rank is None else LoraSlots(slots, rank)


def declared_slots(folder: Path) -> Mapping[str, Mapping[str, Declared]]:
    """The inputs of the LoRA slots of a bundle's networks, by the name of the network, of those that have some.

    BundleError for a network that is no ONNX graph.
    """
    graphs = [path for name in WITH_LORA_SLOTS if (path := folder / name / MODEL).is_file()]
    return _declared(tuple((graph, FileState.of(graph.stat())) for graph in graphs))


@functools.lru_cache(maxsize=8)
def _declared(graphs: tuple[tuple[Path, FileState], ...]) -> Mapping[str, Mapping[str, Declared]]:
    found = {graph.parent.name: declared_inputs(graph) for graph, _ in graphs}
    slots = {name: {key: each for key, each in inputs.items() if is_lora_input(key)} for name, inputs in found.items()}
    return {name: inputs for name, inputs in slots.items() if inputs}
