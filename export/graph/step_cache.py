"""Deep features in a UNet's graph: returns them as a second output, and cuts out the graph that starts from them.

The up blocks of a UNet join the hidden state h with a skip connection s, ``Concat(h, s)``, before every resnet. The
branch b keeps the last b + 1 resnets of the last up block, and of the down blocks what computes their skips. The deep
features are the h that the first of them takes; they change little from one timestep to the next (DeepCache, Ma et al.
2023, https://arxiv.org/abs/2312.00858).

Everything is found in the graph: a skip connection is a Concat of two values along the channels, the second of which is
also needed for the first; and the last up block begins behind the last operator that enlarges.
"""

import itertools
from collections.abc import Iterator
from math import prod
from typing import NoReturn

from onnxscript import ir

from ddim_edge.bundle.layout import DEEP_FEATURES
from ddim_edge.errors import ConfigError, ExportError

from .group_norm import separate_norms

_ENLARGE = ("Resize", "Upsample", "ConvTranspose", "DepthToSpace")
_RESIDUALS = ("down_block_additional_residual", "mid_block_additional_residual")
_FLOAT, _BFLOAT = ir.DataType.FLOAT, ir.DataType.BFLOAT16
_HALF = (ir.DataType.FLOAT16, _BFLOAT)


def add_deep_features(model: ir.Model, branch: int) -> None:
    """Add the output ``deep_features``, in place; one that is there is replaced. It has no shape yet.

    Its type is that of the value in the graph, or float32 where that is bfloat16, as of all outputs. ConfigError for a
    branch that the last up block does not have, ExportError for a graph that is not that of a UNet.
    """
    remove_deep_features(model)
    if any(str(value.name).startswith(_RESIDUALS) for value in model.graph.inputs):
        _refuse("it takes the residuals of ControlNets, which are added to what a shallow call leaves out")
    skips = _last_skips(model.graph)
    check_branch(branch, len(skips))
    hidden = _hidden(skips[branch])
    dtype = _dtype_of(model, hidden)
    features = _as_float32(model.graph, hidden) if dtype == _BFLOAT else hidden
    features.name = DEEP_FEATURES
    features.type = ir.TensorType(_FLOAT if dtype == _BFLOAT else dtype)
    model.graph.outputs.append(features)


def remove_deep_features(model: ir.Model) -> None:
    """Remove the output ``deep_features``, if there is one, in place."""
    for value in [value for value in model.graph.outputs if value.name == DEEP_FEATURES]:
        model.graph.outputs.remove(value)
        value.name, value.type, value.shape = f"{DEEP_FEATURES}.inside", None, None
    ir.passes.common.RemoveUnusedNodesPass()(model)


def keep_shallow(model: ir.Model) -> None:
    """Make a graph with the output ``deep_features`` the one that takes them as an input, in place.

    ExportError where the prediction needs more of the blocks that are left out.
    """
    graph = model.graph
    (features,) = (value for value in graph.outputs if value.name == DEEP_FEATURES)
    graph.outputs.remove(features)
    hidden = _hidden_state_of(features)
    separate_norms(model)
    _check_is_cut(graph.outputs[0], hidden)
    given = ir.Value(name=DEEP_FEATURES, type=features.type, shape=features.shape)
    graph.inputs.append(given)
    features.name = f"{DEEP_FEATURES}.inside"
    ir.convenience.replace_all_uses_with(hidden, given if hidden is features else _as_bfloat16(graph, given))
    ir.passes.common.RemoveUnusedNodesPass()(model)
    for value in [value for value in graph.inputs if not value.uses()]:
        graph.inputs.remove(value)


def check_branch(branch: int, resnets: int) -> None:
    """ConfigError for a branch that a last up block of so many resnets does not have."""
    if not 0 <= branch < resnets:
        valid = f"from 0 to {resnets - 1}" if resnets > 1 else "0"
        raise ConfigError(
            f"step cache: branch {branch} must be {valid} for this unet, whose last up block has {resnets} "
            f"resnet{'s' if resnets > 1 else ''}"
        )


def count_parameters(model: ir.Model) -> int:
    """The number of constant values of a graph."""
    values = (value.const_value for value in model.graph.initializers.values())
    return sum(prod(value.shape.numpy()) for value in values if value is not None)


def _last_skips(graph: ir.Graph) -> list[ir.Node]:
    """The skip connections of the last up block, the last first."""
    skips = _skips(graph)
    if not skips:
        _refuse("it has no skip connections, as a UNet has")
    for position, (skip, earlier) in enumerate(itertools.pairwise(skips), start=1):
        if any(node.op_type in _ENLARGE for node in _needed_for(_hidden(skip), without=earlier.outputs[0])):
            return skips[:position]
    return skips


def _skips(graph: ir.Graph) -> list[ir.Node]:
    """All skip connections on the way to the first output, the last first."""
    needed = set(_needed_for(graph.outputs[0]))
    return [node for node in reversed(list(graph)) if node in needed and _is_skip(node)]


def _is_skip(node: ir.Node) -> bool:
    if node.op_type != "Concat" or node.attributes.get_int("axis") != 1 or len(node.inputs) != 2:
        return False
    hidden, skip = node.inputs
    if hidden is None or skip is None or skip.producer() is None:
        return False
    return skip.producer() in set(_needed_for(hidden))


def _hidden(skip: ir.Node) -> ir.Value:
    hidden = skip.inputs[0]
    assert hidden is not None
    return hidden


def _needed_for(value: ir.Value, without: ir.Value | None = None) -> Iterator[ir.Node]:
    """The nodes that compute a value; not those that only ``without`` needs."""
    seen, pending = set[ir.Node](), [value]
    while pending:
        current = pending.pop()
        node = current.producer()
        if current is without or node is None or node in seen:
            continue
        seen.add(node)
        yield node
        pending += [entry for entry in node.inputs if entry is not None]


def _check_is_cut(output: ir.Value, hidden: ir.Value) -> None:
    """ExportError where the prediction needs more of the inner blocks than the deep features."""
    inner = {node for node in _needed_for(hidden) if _is_skip(node)}
    if inner & set(_needed_for(output, without=hidden)):
        _refuse("its inner blocks pass on more than one hidden state")


def _dtype_of(model: ir.Model, value: ir.Value) -> ir.DataType:
    """A value's type. ONNX does not infer it behind operators of ONNX Runtime, which are in float32 graphs alone."""
    if not {entry.dtype for entry in model.graph.initializers.values()} & set(_HALF):
        return _FLOAT
    inferred = model.clone()
    ir.passes.common.ShapeInferencePass()(inferred)
    values = (entry for node in inferred.graph for entry in node.outputs)
    dtype = next(entry.dtype for entry in values if entry.name == value.name)
    assert dtype is not None
    return dtype


def _as_float32(graph: ir.Graph, value: ir.Value) -> ir.Value:
    node = ir.node("Cast", [value], {"to": _FLOAT.value})
    graph.append(node)
    return node.outputs[0]


def _as_bfloat16(graph: ir.Graph, value: ir.Value) -> ir.Value:
    node = ir.node("Cast", [value], {"to": _BFLOAT.value})
    graph.insert_before(graph[0], node)
    return node.outputs[0]


def _hidden_state_of(features: ir.Value) -> ir.Value:
    """The hidden state that the blocks take: a bfloat16 one is cast for the output alone."""
    cast = features.producer()
    assert cast is not None
    hidden = cast.inputs[0]
    if features.uses() or hidden is None:
        return features
    return hidden


def _refuse(reason: str) -> NoReturn:
    raise ExportError(f"this graph has no deep features to cache: {reason}")
