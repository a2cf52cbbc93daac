"""Adds casts to Concat nodes with inputs of different data types, which ONNX does not allow.

PyTorch promotes such inputs, but its exporter omits the casts. SDXL's UNet in fp16 has one: it joins pooled text in
fp16 with embeddings in fp32.
"""

from onnxscript import ir


def promote_concats(model: ir.Model) -> int:
    """Cast, in place, the inputs of every Concat of fp16 or bf16 with fp32 to fp32. Returns the number of nodes."""
    mixed = [node for node in model.graph if node.op_type == "Concat" and _is_mixed(node)]
    for node in mixed:
        for position, value in enumerate(node.inputs):
            if value is not None and value.dtype != ir.DataType.FLOAT:
                cast = ir.node("Cast", [value], {"to": ir.DataType.FLOAT.value})
                cast.outputs[0].type = ir.TensorType(ir.DataType.FLOAT)
                model.graph.insert_before(node, cast)
                node.replace_input_with(position, cast.outputs[0])
    return len(mixed)


def _is_mixed(node: ir.Node) -> bool:
    types = {value.dtype for value in node.inputs if value is not None}
    return len(types) > 1 and types <= {ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.BFLOAT16}
