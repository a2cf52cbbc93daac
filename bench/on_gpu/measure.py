"""Measures one group: all sides in interleaved rounds, their differences, and the GPU's lower bound."""

import re
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ddim_edge.benchmark.agreement import check_agreement
from ddim_edge.benchmark.environment import environment
from ddim_edge.benchmark.rounds import Cell, Notify, interleave

from ..results import Record
from .cost import Cost, cost_of
from .ours import KINDS
from .peaks import Peak
from .plan import Group

NO_TIME = "no time was left"
_NO_ROOM = re.compile("memory|alloc", re.IGNORECASE)
MEMORY_FACTOR = 1.3
"""The bound for GPU memory, relative to weights and activations."""


class Turn(NamedTuple):
    """The functions of a run that a measurement calls."""

    notify: Notify
    has_time: Callable[[], bool]


def measure_group(
    group: Group, sides: Sequence[str], provider: str, files: tuple[Path, Path], repeats: int, turn: Turn
) -> Record:
    """The group's record, without the floor."""
    cells = [Cell(group.configuration(side, provider, *files)) for side in sides]
    try:
        _together(cells, repeats, turn)
        crowded = [cell for cell in cells if cell.reason is not None and _NO_ROOM.search(cell.reason)]
        retried = {cell.configuration.side: _alone(cell, repeats, turn) for cell in crowded}
    finally:
        for cell in cells:
            cell.stop()
    rows = [_row(retried.get(cell.configuration.side, cell)) for cell in cells]
    return {
        "model": group.model.name,
        "precision": group.precision,
        "batch": group.batch,
        "steps": group.model.steps,
        "rounds": repeats,
        **environment(),
        "rows": rows,
    }


def _together(cells: Sequence[Cell], repeats: int, turn: Turn) -> None:
    for cell in cells:
        _start(cell, turn)
    ours = [cell for cell in cells if cell.is_running and cell.configuration.side in KINDS]
    if ours:
        _compare_kinds(ours)
        check_agreement(ours[0], [cell for cell in cells if cell.configuration.side not in KINDS])
    interleave(cells, repeats, turn.notify)
    for cell in cells:
        cell.stop()


def _start(cell: Cell, turn: Turn) -> None:
    if not turn.has_time():
        cell.fail(NO_TIME)
        return
    turn.notify(f"starting {cell.label}")
    cell.start()


def _alone(cell: Cell, repeats: int, turn: Turn) -> Cell:
    """Measure it again without the others, which may have taken the memory; its rounds are then not interleaved."""
    again = Cell(cell.configuration)
    try:
        _start(again, turn)
        again.facts["alone"] = True
        interleave([again], repeats, turn.notify)
    finally:
        again.stop()
    return again


def _compare_kinds(cells: Sequence[Cell]) -> None:
    """The largest difference from the first kind's images of one seed, relative to their standard deviation."""
    with tempfile.TemporaryDirectory() as folder:
        images = {}
        for cell in cells:
            path = Path(folder) / f"{cell.configuration.side}.npy"
            cell.ask(save=str(path))
            images[cell.configuration.side] = np.load(path) if path.exists() else None
    first = images[cells[0].configuration.side]
    for cell in cells[1:]:
        other = images[cell.configuration.side]
        if first is not None and other is not None:
            cell.facts["from_first_kind"] = float(np.abs(other - first).max() / first.std())


def _row(cell: Cell) -> Record:
    """The figures of a cell, without the single steps."""
    row = cell.row()
    row["image_seconds"] = [taken["image"] for taken in row.pop("rounds")]
    del row["bundle"]
    return row


def floor_of(group: Group, graph: Path, peak: Peak) -> Record:
    """The lower bound of one call on a GPU with these rates."""
    cost = cost_of(graph, group.input_shapes())
    rates = (peak.fp16 if group.precision == "fp16" else peak.fp32), peak.bandwidth
    return {
        **_of(cost),
        "call_seconds": cost.seconds(*rates),
        "roofline_seconds": cost.roofline(*rates),
        "memory_wanted": MEMORY_FACTOR * (cost.weights + cost.activations),
    }


def _of(cost: Cost) -> dict[str, Any]:
    return {"flops": cost.flops, "weights": cost.weights, "activations": cost.activations}
