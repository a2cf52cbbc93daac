"""Runs a finished UNet graph in ONNX Runtime on random inputs. Needs no PyTorch."""

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxscript import ir

from ddim_edge.config import read_json
from ddim_edge.errors import ExportError

from ..graph.bfloat16 import write_as_float32
from ..networks.sizes import Side, two_image_sizes

_TYPES = {
    "float": np.float32,
    "float16": np.float16,
    "double": np.float64,
    "int64": np.int64,
    "int32": np.int32,
    "bool": np.bool_,
}
_TOKENS = 77
_FACTOR = re.compile(r"([*/])(?=[1-9][0-9]*$)")

Arrays = dict[str, NDArray[Any]]


@contextmanager
def open_graph(path: Path) -> Iterator[onnxruntime.InferenceSession]:
    """Open a graph; one in bfloat16 is computed in float32. Only one is in memory at a time."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    with tempfile.TemporaryDirectory(prefix=".verify.", dir=path.parent) as place:
        runnable = path
        if any(value.dtype == ir.DataType.BFLOAT16 for value in ir.load(path).graph.initializers.values()):
            runnable = Path(place) / path.name
            write_as_float32(path, runnable)
        try:
            session = onnxruntime.InferenceSession(runnable, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's errors have no other common base
            raise ExportError(f"ONNX Runtime does not load {path.name}: {error}") from error
        yield session


def declared_inputs(session: onnxruntime.InferenceSession) -> dict[str, Any]:
    """The inputs that a graph declares, by name."""
    return {value.name: value for value in session.get_inputs()}


def sides_of(folder: Path) -> tuple[Side, Side]:
    """The network's own height and width, within limits, and small ones, from the config.json of ``folder``."""
    return two_image_sizes(read_json(folder / "config.json"))


def can_draw(declared: Any) -> bool:
    """Whether ``draw_inputs`` has values for an input."""
    return declared.type.removeprefix("tensor(").removesuffix(")") in _TYPES


def draw_inputs(
    random: np.random.Generator,
    session: onnxruntime.InferenceSession,
    rows: int,
    sides: Sequence[int],
    channels: int | None = None,
) -> Arrays:
    """Random floats; integers such as classes are 0. The free axes of the sample get ``channels`` and ``sides``."""
    declared = declared_inputs(session)
    lengths = dict(zip(declared["sample"].shape[1:], (channels, *sides), strict=True))
    return {name: _draw(random, value, rows, lengths) for name, value in declared.items()}


def _draw(
    random: np.random.Generator, declared: Any, rows: int, lengths: Mapping[str | int, int | None]
) -> NDArray[Any]:
    axes = (axis if isinstance(axis, int) else _length(axis, lengths) for axis in declared.shape[1:])
    shape, kind = (rows, *axes), _TYPES[declared.type.removeprefix("tensor(").removesuffix(")")]
    is_float = issubclass(kind, np.floating)
    return random.standard_normal(shape, np.float32).astype(kind) if is_float else np.zeros(shape, kind)


def _length(axis: str | None, lengths: Mapping[str | int, int | None]) -> int:
    """The length of a free axis, such as height, height/2 or height*8; of one that is not in ``lengths``, tokens."""
    name, *scaled = _FACTOR.split(axis or "", maxsplit=1)
    length = lengths.get(name) or _TOKENS
    if not scaled:
        return length
    operator, factor = scaled
    return length * int(factor) if operator == "*" else length // int(factor)


def run_graph(session: onnxruntime.InferenceSession, feeds: Arrays, outputs: Sequence[str]) -> list[NDArray[Any]]:
    """The outputs of those names. ExportError where the graph does not run."""
    try:
        return list(session.run(list(outputs), feeds))
    except Exception as error:  # as above
        raise ExportError(f"ONNX Runtime cannot run the UNet's graph: {error}") from error
