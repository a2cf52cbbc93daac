"""Make a traced graph ready for ONNX Runtime, and write it."""

from pathlib import Path

from onnxscript import ir

from .concat import promote_concats
from .group_norm import rewrite_group_norms

_MAX_BYTES_INSIDE = 1_500_000_000
"""Protobuf ends at 2 GB; larger weights go to a file of their own."""


def fit(model: ir.Model, target: str = "cpu") -> None:
    """Rewrite what has no fast kernel on ``target``, and drop what only the tracer needed (paths in it among that)."""
    promote_concats(model)
    if _wants_instance_norms(model, target):
        rewrite_group_norms(model)
    ir.passes.common.RemoveUnusedNodesPass()(model)
    ir.passes.common.ClearMetadataAndDocStringPass()(model)
    for value in (*model.graph.inputs, *model.graph.outputs, *model.graph.initializers.values()):
        value.metadata_props.clear()
    _forget_shapes(model)


def _wants_instance_norms(model: ir.Model, target: str) -> bool:
    """CUDA has no kernel of either norm of opset 22, but of the operators that ONNX Runtime expands a group norm to."""
    return target == "cpu" or (target == "cuda" and (model.opset_imports[""] or 0) < 22)


def save(model: ir.Model, path: Path) -> None:
    """Write ``model.onnx``; with weights of 1.5 GB or more also ``model.onnx_data`` beside it. The model loses them."""
    size = sum(value.const_value.nbytes for value in model.graph.initializers.values() if value.const_value is not None)
    ir.save(model, path, external_data=f"{path.name}_data" if size >= _MAX_BYTES_INSIDE else None)
    # onnxscript's rewriter keeps the last graph that each of its rules matched, and so would keep the network alive.
    for value in model.graph.initializers.values():
        value.const_value = None


def _forget_shapes(model: ir.Model) -> None:
    """Intermediate shapes are in the tracer's symbols; ONNX Runtime infers its own."""
    outputs = set(model.graph.outputs)
    for node in model.graph:
        for value in node.outputs:
            if value not in outputs:
                value.shape = value.type = None
