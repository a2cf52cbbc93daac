"""Adds constants to a graph."""

from typing import Any

from numpy.typing import NDArray
from onnxscript import ir


def add_initializer(graph: ir.Graph, name: str, array: NDArray[Any]) -> ir.Value:
    """Add ``array`` to the graph as the initializer ``name``."""
    tensor = ir.tensor(array, name=name)
    value = ir.Value(name=name, const_value=tensor, shape=ir.Shape(array.shape), type=ir.TensorType(tensor.dtype))
    graph.register_initializer(value)
    return value
