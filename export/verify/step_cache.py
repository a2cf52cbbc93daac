"""Compares shallow.onnx, fed with the deep features of model.onnx, with model.onnx. Needs no PyTorch."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from ddim_edge.bundle.layout import DEEP_FEATURES
from ddim_edge.errors import ExportError

from .graph_runs import Arrays, declared_inputs, draw_inputs, open_graph, run_graph, sides_of

_TOLERANCES = {"float32": 1e-5, "float16": 1e-2}
"""By the prediction's type. In fp16, ONNX Runtime's CPU omits roundings, and not the same ones in both graphs."""
_ROWS = (3, 1)
_TIMESTEPS = 1000


class StepCacheCheck(NamedTuple):
    """The shallow graph: its branch, its share of the parameters, its error, and the tolerance."""

    branch: int
    parameters: float
    error: float
    tolerance: float

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> "StepCacheCheck":
        """Read what ``to_json`` wrote."""
        return cls(**{name: entry[name] for name in cls._fields})

    @property
    def summary(self) -> str:
        """The check as text."""
        return (
            f"branch {self.branch}, {self.parameters:.1%} of the parameters, at most {self.error:.1e} from the whole "
            "network"
        )

    def to_json(self) -> dict[str, Any]:
        """The entry in export.json."""
        return {"measure": "max |shallow - whole| / max |whole|", **self._asdict()}


@dataclass(frozen=True)
class WholeCall:
    """Inputs of the whole graph, its prediction, and its deep features."""

    feeds: Arrays
    prediction: NDArray[Any]
    features: NDArray[Any]


def run_whole(graph: Path, config_folder: Path) -> list[WholeCall]:
    """Run the graph with the output ``deep_features`` at two sizes, every row at another timestep.

    ExportError where the features have another height and width than the sample.
    """
    with open_graph(graph) as session:
        calls = [_whole_call(session, *case) for case in _cases(session, config_folder)]
    for call in calls:
        if call.features.shape[2:] != call.feeds["sample"].shape[2:]:
            raise ExportError(
                f"the deep features have the shape {call.features.shape} for samples of {call.feeds['sample'].shape}: "
                "the branch is not at the sample's resolution"
            )
    return calls


def compare_shallow(graph: Path, calls: list[WholeCall]) -> tuple[float, float]:
    """The largest error of the shallow graph for those calls, relative to the largest value; and the tolerance.

    ExportError where it is above the tolerance.
    """
    tolerance = _TOLERANCES[calls[0].prediction.dtype.name]
    with open_graph(graph) as session:
        error = max(_error(session, call) for call in calls)
    if not error <= tolerance:
        raise ExportError(
            f"the shallow graph is wrong: it differs from the whole one by {error:.2g} of the largest value, where "
            f"{tolerance:g} is allowed; it was not written"
        )
    return error, tolerance


def _cases(session: onnxruntime.InferenceSession, config_folder: Path) -> Iterator[tuple[int, tuple[int, int]]]:
    """Rows and sides of the calls: those of the config, or the graph's fixed ones."""
    batch, _, *fixed = declared_inputs(session)["sample"].shape
    for rows, sides in zip(_ROWS, sides_of(config_folder), strict=True):
        height, width = (side if isinstance(side, int) else usual for side, usual in zip(fixed, sides, strict=True))
        yield batch if isinstance(batch, int) else rows, (height, width)


def _whole_call(session: onnxruntime.InferenceSession, rows: int, sides: tuple[int, int]) -> WholeCall:
    random = np.random.default_rng(rows)
    feeds = draw_inputs(random, session, rows, sides)
    timesteps = random.choice(_TIMESTEPS - 1, rows) + 1
    per_row = bool(declared_inputs(session)["timestep"].shape)
    feeds["timestep"] = np.asarray(timesteps if per_row else timesteps[0], feeds["timestep"].dtype)
    return WholeCall(feeds, *run_graph(session, feeds, [session.get_outputs()[0].name, DEEP_FEATURES]))


def _error(session: onnxruntime.InferenceSession, call: WholeCall) -> float:
    given = {**call.feeds, DEEP_FEATURES: call.features}
    feeds = {name: given[name] for name in declared_inputs(session)}
    (got,) = run_graph(session, feeds, [session.get_outputs()[0].name])
    wide = call.prediction.astype(np.float32)
    return float(np.abs(got - wide).max() / max(np.abs(wide).max(), np.finfo(np.float32).tiny))
