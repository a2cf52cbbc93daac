"""Names the weights of linear layers after their layers.

The tracer stores the weight of a linear layer transposed, for MatMul, under a number. With its layer's name
`ddim-edge lora --fuse` finds it in a finished bundle.
"""

import ast

from onnxscript import ir

from ddim_edge.bundle.layout import TRANSPOSED

_FOLDED_FROM = "pkg.onnxscript.optimizer.folded_from"


def name_transposed_weights(model: ir.Model) -> None:
    """Rename, in place, each matrix that is a layer's weight transposed: ``network.LAYER.weight.transposed``."""
    initializers = model.graph.initializers
    for value in list(initializers.values()):
        source = _source_of(value)
        if source is not None and f"{source}{TRANSPOSED}" not in initializers:
            value.name = f"{source}{TRANSPOSED}"


def _source_of(value: ir.Value) -> str | None:
    """The name of the weight that ``value`` is the transpose of; None for another one."""
    folded = ast.literal_eval(value.metadata_props.get(_FOLDED_FROM, "[]"))
    multiplied = all(node.op_type == "MatMul" and position == 1 for node, position in value.uses())
    if len(folded) != 1 or not folded[0].endswith(".weight") or not multiplied:
        return None
    return str(folded[0]) if value.shape is not None and len(value.shape) == 2 else None
