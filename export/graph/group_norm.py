"""Rewrites GroupNormalization with operators that have fast kernels in ONNX Runtime, on the CPU and on CUDA.

Neither has a kernel for GroupNormalization: ONNX Runtime expands it to about thirty nodes. The same function is Reshape
to (B, G, ·), LayerNormalization of the last axis, Reshape back, and a weight and a bias per channel.
InstanceNormalization instead of LayerNormalization would need no scale, but CUDA has no kernel for it from opset 22 on.
"""

from collections.abc import Callable, Hashable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from onnxscript import ir

_NORMS = ("LayerNormalization", "InstanceNormalization")
_TYPES = (ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.BFLOAT16)


def rewrite_group_norms(model: ir.Model) -> int:
    """Replace, in place, every GroupNormalization with constant weights and known rank. Returns how many."""
    nodes = [node for node in model.graph if node.op_type == "GroupNormalization" and _can_rewrite(node)]
    rewrite = _Rewrite(model.graph)
    for node in nodes:
        rewrite(node)
    return len(nodes)


def _can_rewrite(node: ir.Node) -> bool:
    x, *affine = node.inputs
    constant = all(value is not None and value.const_value is not None for value in affine)
    return constant and x is not None and x.shape is not None and x.dtype in _TYPES


class _Rewrite:
    """Replaces the norms of a graph. Shared nodes are added once, because each node costs microseconds at batch 1."""

    def __init__(self, graph: ir.Graph) -> None:
        self._graph = graph
        self._made: dict[Hashable, ir.Value] = {}

    def __call__(self, node: ir.Node) -> None:
        tape = ir.tape.Tape()
        x, weight, bias = node.inputs
        assert x is not None
        assert weight is not None
        assert bias is not None
        groups, epsilon = node.attributes["num_groups"].as_int(), node.attributes.get_float("epsilon", 1e-5)
        normal = self._normal(tape, x, groups, epsilon)
        if x.dtype == ir.DataType.FLOAT:
            result = self._in_one_pass(tape, normal, weight, bias)
        else:
            result = self._in_two_passes(tape, normal, weight, bias, len(_sizes(x)))
        result.name = node.outputs[0].name
        ir.convenience.replace_nodes_and_values(self._graph, node, [node], tape.nodes, node.outputs, [result])

    def _normal(self, tape: ir.tape.Tape, x: ir.Value, groups: int, epsilon: float) -> ir.Value:
        """``x`` with mean 0 and variance 1 in each group."""
        batch, *sizes = _sizes(x)
        grouped = tape.op("Reshape", [x, self._constant(f"groups.{groups}", [0, groups, -1])])
        ones = self._once(("ones", x.dtype, groups, *sizes), lambda: _ones(tape, grouped, x))
        normal = tape.op("LayerNormalization", [grouped, ones], {"axis": -1, "epsilon": epsilon})
        shape = self._once(("shape", batch, *sizes), lambda: tape.op("Shape", [x]))
        return tape.op("Reshape", [normal, shape])

    def _in_one_pass(self, tape: ir.tape.Tape, x: ir.Value, weight: ir.Value, bias: ir.Value) -> ir.Value:
        """Weight and bias by BatchNormalization with mean 0 and variance 1: one pass over the image, not two."""
        channels = _array(weight).size
        mean = self._constant(f"mean.{channels}", np.zeros(channels, np.float32))
        variance = self._constant(f"variance.{channels}", np.ones(channels, np.float32))
        return tape.op("BatchNormalization", [x, weight, bias, mean, variance], {"epsilon": 0.0})

    def _in_two_passes(self, tape: ir.tape.Tape, x: ir.Value, weight: ir.Value, bias: ir.Value, rank: int) -> ir.Value:
        """Weight and bias by Mul and Add.

        CUDA has no BatchNormalization in bf16, and the one in fp16 converts its four vectors at each call.
        """
        scale, shift = (
            self._constant(f"per_channel.{rank}.{value.name}", _array(value).reshape(-1, *(1,) * (rank - 2)))
            for value in (weight, bias)
        )
        return tape.op("Add", [tape.op("Mul", [x, scale]), shift])

    def _once(self, key: Hashable, make: Callable[[], ir.Value]) -> ir.Value:
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def _constant(self, name: str, value: ArrayLike) -> ir.Value:
        return self._once(name, lambda: self._register(ir.tensor(np.asarray(value), name=f"group_norm.{name}")))

    def _register(self, tensor: ir.TensorProtocol) -> ir.Value:
        constant = ir.Value(
            name=tensor.name, const_value=tensor, shape=ir.Shape(tensor.shape.numpy()), type=ir.TensorType(tensor.dtype)
        )
        self._graph.register_initializer(constant)
        return constant


def separate_norms(model: ir.Model) -> None:
    """Let every norm, as it is rewritten here, take its shapes from its own input, in place.

    Norms of equal shapes share them, from the input of the first: what is cut out of a graph would still compute that.
    """
    for node in list(model.graph):
        before = node.inputs[0].producer() if node.op_type in _NORMS and node.inputs[0] is not None else None
        if before is not None and before.op_type == "Reshape":
            _separate(model.graph, node, before.inputs[0], before.outputs[0])


def _separate(graph: ir.Graph, norm: ir.Node, x: ir.Value | None, grouped: ir.Value) -> None:
    assert x is not None
    scale = norm.inputs[1]
    made = scale.producer() if scale is not None else None
    tape = ir.tape.Tape()
    if made is not None and made.op_type == "ConstantOfShape":
        length = tape.op("Shape", [grouped], {"start": 2})
        norm.replace_input_with(1, tape.op("ConstantOfShape", [length], dict(made.attributes)))
    for user, _ in norm.outputs[0].uses():
        shape = user.inputs[1].producer() if user.op_type == "Reshape" and user.inputs[1] is not None else None
        if shape is not None and shape.op_type == "Shape":
            user.replace_input_with(1, tape.op("Shape", [x], dict(shape.attributes)))
    graph.insert_before(norm, tape.nodes)


def _ones(tape: ir.tape.Tape, grouped: ir.Value, x: ir.Value) -> ir.Value:
    """The scale of LayerNormalization. It is as long as the axis, whose length is known only at run time."""
    assert x.dtype is not None
    one = ir.tensor(np.ones(1, x.dtype.numpy()))
    return tape.op("ConstantOfShape", [tape.op("Shape", [grouped], {"start": 2})], {"value": one})


def _sizes(x: ir.Value) -> list[str]:
    """A name for each axis; equal names mean equal sizes. An axis without a name gets a unique one."""
    shape = x.shape
    assert shape is not None
    return [f"{x.name}.{axis}" if shape.is_unknown_dim(axis) else str(shape[axis]) for axis in range(len(shape))]


def _array(value: ir.Value) -> NDArray[Any]:
    assert value.const_value is not None
    return value.const_value.numpy()
