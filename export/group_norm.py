"""GroupNormalization in terms of operators that ONNX Runtime has fast kernels for.

There is no CPU kernel of GroupNormalization: ONNX Runtime expands it to a chain of reductions. The same function is
Reshape to (B, G, ·), InstanceNormalization, Reshape back, Mul by the weight, Add of the bias.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from onnxscript import ir


def rewrite_group_norms(model: ir.Model) -> int:
    """Replace, in place, every float32 GroupNormalization with constant weights and known rank; return how many."""
    graph = model.graph
    shapes: dict[tuple[str, ...], ir.Value] = {}
    nodes = [node for node in graph if node.op_type == "GroupNormalization" and _can_rewrite(node)]
    for node in nodes:
        _replace(graph, node, shapes)
    return len(nodes)


def _can_rewrite(node: ir.Node) -> bool:
    x, *affine = node.inputs
    constant = all(value is not None and value.const_value is not None for value in affine)
    return constant and x is not None and x.shape is not None and x.dtype == ir.DataType.FLOAT


def _replace(graph: ir.Graph, node: ir.Node, shapes: dict[tuple[str, ...], ir.Value]) -> None:
    tape = ir.tape.Tape()
    x, weight, bias = node.inputs
    assert x is not None
    assert x.shape is not None
    groups, epsilon = node.attributes["num_groups"].as_int(), node.attributes.get_float("epsilon", 1e-5)
    constant = _Constants(graph, node.outputs[0].name)

    grouped = tape.op("Reshape", [x, constant("groups", [0, groups, -1])])
    unit = [constant("ones", np.ones(groups, np.float32)), constant("zeros", np.zeros(groups, np.float32))]
    normal = tape.op("InstanceNormalization", [grouped, *unit], {"epsilon": epsilon})
    # One Shape for all tensors of one shape: at batch 1 each node costs some microseconds.
    key = tuple(map(str, x.shape))
    shape = shapes.get(key) or shapes.setdefault(key, tape.op("Shape", [x]))
    ungrouped = tape.op("Reshape", [normal, shape])
    scaled = tape.op("Mul", [ungrouped, constant("weight", _per_channel(weight, len(x.shape)))])
    shifted = tape.op("Add", [scaled, constant("bias", _per_channel(bias, len(x.shape)))])
    shifted.name = node.outputs[0].name
    ir.convenience.replace_nodes_and_values(graph, node, [node], tape.nodes, node.outputs, [shifted])


class _Constants:
    """Adds constants to a graph, under names that begin with ``prefix``."""

    def __init__(self, graph: ir.Graph, prefix: str | None) -> None:
        self.graph, self.prefix = graph, prefix

    def __call__(self, name: str, value: ArrayLike) -> ir.Value:
        array = np.asarray(value)
        tensor = ir.tensor(array, name=f"{self.prefix}.{name}")
        constant = ir.Value(
            name=tensor.name, const_value=tensor, shape=ir.Shape(array.shape), type=ir.TensorType(tensor.dtype)
        )
        self.graph.register_initializer(constant)
        return constant


def _per_channel(value: ir.Value | None, rank: int) -> NDArray[np.float32]:
    """A vector of C values as (C, 1, …), to be broadcast over a tensor of ``rank`` axes."""
    assert value is not None
    assert value.const_value is not None
    return value.const_value.numpy().reshape(-1, *(1,) * (rank - 2))
