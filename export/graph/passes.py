"""Make a traced graph ready for ONNX Runtime, and write it."""

from pathlib import Path

from onnxscript import ir

from ..options import Options
from ..precision import BF16
from .bfloat16 import add_float32_casts
from .concat import promote_concats
from .group_norm import rewrite_group_norms
from .quantize import quantize_weights

_MAX_BYTES_INSIDE = 1_500_000_000
"""Protobuf ends at 2 GB; larger weights go to a file of their own."""


def run_passes(model: ir.Model, options: Options) -> None:
    """Rewrite what has no fast kernel, quantize if wanted, and drop what only the tracer needed (paths in it)."""
    promote_concats(model)
    if options.target != "tensorrt":
        rewrite_group_norms(model)
    if options.quantize is not None:
        quantize_weights(model)
    if options.precision is BF16:
        add_float32_casts(model)
    ir.passes.common.RemoveUnusedNodesPass()(model)
    ir.passes.common.ClearMetadataAndDocStringPass()(model)
    for value in (*model.graph.inputs, *model.graph.outputs, *model.graph.initializers.values()):
        value.metadata_props.clear()
    _forget_shapes(model)


def save_graph(model: ir.Model, path: Path) -> None:
    """Write ``model.onnx``; with weights of 1.5 GB or more also ``model.onnx_data`` beside it. The model loses them."""
    size = sum(value.const_value.nbytes for value in model.graph.initializers.values() if value.const_value is not None)
    ir.save(model, path, external_data=f"{path.name}_data" if size >= _MAX_BYTES_INSIDE else None)
    # Somebody keeps the graph: the last ones that its rules matched stay with onnxscript's rewriter.
    for value in model.graph.initializers.values():
        value.const_value = None


def _forget_shapes(model: ir.Model) -> None:
    """Intermediate shapes are in the tracer's symbols; ONNX Runtime infers its own."""
    outputs = set(model.graph.outputs)
    for node in model.graph:
        for value in node.outputs:
            if value not in outputs:
                value.shape = value.type = None
