"""The configuration of one ONNX graph for Triton's onnxruntime backend."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import BundleError
from ..graphs.inputs import Declared, declared_inputs, declared_outputs
from .config_text import Enum

MAX_ROWS = 16
"""Most rows of one call that Triton makes of several requests."""
_TYPES = {
    1: "FP32",
    2: "UINT8",
    3: "INT8",
    4: "UINT16",
    5: "INT16",
    6: "INT32",
    7: "INT64",
    8: "STRING",
    9: "BOOL",
    10: "FP16",
    11: "FP64",
    12: "UINT32",
    13: "UINT64",
    16: "BF16",
}
"""Triton's names of onnx.proto's data types."""


def graph_config(graph: Path) -> dict[str, Any]:
    """The ModelConfig of a graph.

    If the first axis of every input and output is free, that axis is the batch: Triton joins the rows of requests that
    have the same shapes otherwise, and each row has its own timestep. Raises BundleError for a file that is no graph.
    """
    inputs, outputs = declared_inputs(graph), declared_outputs(graph)
    is_batched = all(_has_rows(each) for each in (*inputs.values(), *outputs.values()))
    return {
        "backend": "onnxruntime",
        "max_batch_size": MAX_ROWS if is_batched else 0,
        "input": _tensors(inputs, is_batched, graph),
        "output": _tensors(outputs, is_batched, graph),
        **({"dynamic_batching": {}} if is_batched else {}),
    }


def _has_rows(declared: Declared) -> bool:
    return bool(declared.shape) and isinstance(declared.shape[0], str)


def _tensors(declared: Mapping[str, Declared], is_batched: bool, graph: Path) -> list[dict[str, Any]]:
    return [_tensor(name, each, is_batched, graph) for name, each in declared.items()]


def _tensor(name: str, declared: Declared, is_batched: bool, graph: Path) -> dict[str, Any]:
    if declared.element not in _TYPES:
        raise BundleError(f"{graph}: {name} has the ONNX data type {declared.element}, which Triton does not have")
    kind = Enum(f"TYPE_{_TYPES[declared.element]}")
    dims = [-1 if isinstance(side, str) else side for side in declared.shape[is_batched:]]
    # Triton knows no shape without axes: clients send [1], or [rows, 1], and the graph gets the last axis removed.
    shape: dict[str, Any] = {"dims": dims} if dims else {"dims": [1], "reshape": {}}
    return {"name": name, "data_type": kind, **shape}
