"""Compares a graph whose timestep was made float32 with the one before, at whole timesteps. Needs no PyTorch."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from ddim_edge.bundle.layout import CONFIG
from ddim_edge.config import read_json
from ddim_edge.errors import ExportError

from ..graph.timestep import TIMESTEP
from .graph_runs import Arrays, declared_inputs, draw_inputs, open_graph, run_graph, sides_of

_TIMESTEPS = (1, 500, 999)  # Fourier features have the logarithm of the timestep


def check_same_at_whole_timesteps(before: Path, after: Path) -> None:
    """Run both graphs, which lie in one folder, on the same random inputs.

    ExportError unless all outputs have the same bytes.
    """
    with open_graph(before) as session:
        calls = list(_calls(session, before.parent))
        expected = [run_graph(session, feeds, _outputs(session)) for feeds in calls]
    real = [{**feeds, TIMESTEP: feeds[TIMESTEP].astype(np.float32)} for feeds in calls]
    with open_graph(after) as session:
        found = [run_graph(session, feeds, _outputs(session)) for feeds in real]
    if not all(_same(one, other) for one, other in zip(expected, found, strict=True)):
        raise ExportError(f"{before} with a float32 timestep predicts something else: it is left as it is")


def _calls(session: onnxruntime.InferenceSession, folder: Path) -> Iterator[Arrays]:
    """As many calls as it takes for every timestep to be in one: a call has one in each row, or one for all rows."""
    declared = declared_inputs(session)
    batch, _, *fixed = declared["sample"].shape
    sides = [side if isinstance(side, int) else usual for side, usual in zip(fixed, sides_of(folder)[1], strict=True)]
    rows = batch if isinstance(batch, int) else len(_TIMESTEPS)
    channels = read_json(folder / CONFIG).get("in_channels")
    feeds = draw_inputs(np.random.default_rng(0), session, rows, sides, channels)
    shape = [rows] if declared[TIMESTEP].shape else []
    for first in range(0, len(_TIMESTEPS), rows if shape else 1):
        yield {**feeds, TIMESTEP: np.resize(np.roll(_TIMESTEPS, -first), shape)}


def _outputs(session: onnxruntime.InferenceSession) -> list[str]:
    return [output.name for output in session.get_outputs()]


def _same(one: list[NDArray[Any]], other: list[NDArray[Any]]) -> bool:
    return all(first.tobytes() == second.tobytes() for first, second in zip(one, other, strict=True))
