"""LoRA bank: the adapters of a network call, as inputs of its graph."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..arrays import Array
from ..bundle.layout import LORA_WEIGHTS, is_lora_input
from ..bundle.lora_slots import LoraSlots
from ..errors import BundleError
from .adapter import Adapter, UsedLora, open_adapter, rank_axis

Loras = tuple[UsedLora, ...]
"""The adapters of one row."""
_KEPT = 8
"""Sets of adapters whose joined matrices are kept: those of a device stay there as long as they are the same."""


class Declares(Protocol):
    """An input that a graph declares."""

    @property
    def shape(self) -> tuple[int | str, ...]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...


class OpenNetwork(Protocol):
    """What a bank needs to know of a session."""

    name: str
    provider: str
    static_shapes: bool
    batches: tuple[int, ...]

    @property
    def inputs(self) -> Mapping[str, Declares]: ...


class LoraBank:
    """Makes the inputs of the LoRA slots of one network, ``session``, of the bundle in ``folder``. Not thread-safe.

    Without an adapter they have no ranks, which costs next to nothing on the CPU; one rank of zeros elsewhere, where
    not every runtime takes an empty axis. Where each new shape has to be prepared, every call has as many ranks as the
    slots have.
    """

    def __init__(self, folder: Path, session: OpenNetwork, slots: LoraSlots) -> None:
        self._folder, self._component, self.slots = folder, session.name, slots
        self._inputs = {name: info for name, info in session.inputs.items() if is_lora_input(name)}
        is_fixed = session.static_shapes or session.batches or isinstance(self._inputs[LORA_WEIGHTS].shape[1], int)
        self._least = slots.columns if is_fixed else 0 if session.provider == "cpu" else 1
        self._matrices: OrderedDict[tuple[tuple[str, str], ...], Mapping[str, Array]] = OrderedDict()

    def feeds(self, rows: Sequence[Loras]) -> dict[str, Array]:
        """The inputs for a call whose rows have these adapters, slots.slots different ones at most; read-only."""
        used = {(lora.name, lora.sha256): open_adapter(self._folder, lora.name) for row in rows for lora in row}
        places = _places(used)
        columns = max(self._least, sum(adapter.rank for adapter in used.values()))
        weights = np.zeros((len(rows), columns), np.float32)
        for row, loras in zip(weights, rows, strict=True):
            for lora in loras:
                row[places[lora.name, lora.sha256]] += np.float32(lora.scale)
        weights.setflags(write=False)
        return {LORA_WEIGHTS: weights, **self._joined(used, columns)}

    def _joined(self, used: Mapping[tuple[str, str], Adapter], columns: int) -> Mapping[str, Array]:
        """The matrices of the adapters, one behind the other."""
        key = tuple(used)
        if key not in self._matrices:
            given = [adapter.inputs(self._component) for adapter in used.values()]
            ranks = [adapter.rank for adapter in used.values()]
            self._matrices[key] = {
                name: _join(name, info, [matrices.get(name) for matrices in given], ranks, columns)
                for name, info in self._inputs.items()
                if name != LORA_WEIGHTS
            }
        self._matrices.move_to_end(key)
        while len(self._matrices) > _KEPT:
            self._matrices.popitem(last=False)
        return self._matrices[key]


def open_bank(folder: Path, session: OpenNetwork, slots: LoraSlots | None) -> LoraBank | None:
    """The bank of a network of the bundle in ``folder``; None for one without slots.

    BundleError for a graph with slots whose config.json says nothing of them.
    """
    name = session.name
    if LORA_WEIGHTS not in session.inputs:
        return None
    if slots is None:
        raise BundleError(
            f"{name} has LoRA slots, and {name}/config.json has no lora_slots and lora_rank: export it again"
        )
    return LoraBank(folder, session, slots)


def _places(used: Mapping[tuple[str, str], Adapter]) -> dict[tuple[str, str], slice]:
    """Which columns each adapter has."""
    places, first = {}, 0
    for key, adapter in used.items():
        places[key] = slice(first, first + adapter.rank)
        first += adapter.rank
    return places


def _join(name: str, info: Declares, matrices: Sequence[Array | None], ranks: Sequence[int], columns: int) -> Array:
    """The matrices of one layer, one behind the other along the axis of ranks; zeros where an adapter has none."""
    axis = rank_axis(name, len(info.shape))
    (only, *others) = matrices or (None,)
    if only is not None and not others and columns == ranks[0] and only.dtype == info.dtype:
        return only  # as it is mapped from the file
    joined = np.zeros(_shape(info, axis, columns), info.dtype)
    along, first = np.moveaxis(joined, axis, 0), 0
    for matrix, rank in zip(matrices, ranks, strict=True):
        if matrix is not None:
            along[first : first + rank] = np.moveaxis(matrix, axis, 0)
        first += rank
    joined.setflags(write=False)
    return joined


def _shape(info: Declares, axis: int, columns: int) -> tuple[int, ...]:
    return tuple(columns if at == axis else int(length) for at, length in enumerate(info.shape))
