"""Rewrites a traced graph for ONNX Runtime, and saves it."""

from pathlib import Path

from onnxscript import ir

from ..options import Options
from ..precision import BF16
from .bfloat16 import add_float32_casts
from .concat import promote_concats
from .group_norm import rewrite_group_norms
from .quantize import quantize_weights
from .weight_names import name_transposed_weights

_MAX_BYTES_INSIDE = 1_500_000_000
"""Protobuf files are limited to 2 GB; larger weights go to a separate file."""


def run_passes(model: ir.Model, options: Options) -> None:
    """Name weights, rewrite operators without fast kernels, quantize if set, and drop the tracer's metadata."""
    name_transposed_weights(model)
    promote_concats(model)
    if options.target != "tensorrt":
        rewrite_group_norms(model)
    if options.quantize is not None:
        quantize_weights(model, options.target)
    if options.precision is BF16:
        add_float32_casts(model)
    ir.passes.common.RemoveUnusedNodesPass()(model)
    ir.passes.common.ClearMetadataAndDocStringPass()(model)
    for value in (*model.graph.inputs, *model.graph.outputs, *model.graph.initializers.values()):
        value.metadata_props.clear()
    _remove_shapes(model)


def save_graph(model: ir.Model, path: Path) -> None:
    """Write the graph to ``path``; weights of 1.5 GB or more go to PATH_data. ``model`` loses its weights."""
    size = sum(value.const_value.nbytes for value in model.graph.initializers.values() if value.const_value is not None)
    ir.save(model, path, external_data=f"{path.name}_data" if size >= _MAX_BYTES_INSIDE else None)
    # onnxscript's rewriter keeps references to the graph that its rules matched last, so free the weights here.
    for value in model.graph.initializers.values():
        value.const_value = None


def _remove_shapes(model: ir.Model) -> None:
    """Remove intermediate shapes: they use the tracer's symbols, and ONNX Runtime infers its own."""
    outputs = set(model.graph.outputs)
    for node in model.graph:
        for value in node.outputs:
            if value not in outputs:
                value.shape = value.type = None
