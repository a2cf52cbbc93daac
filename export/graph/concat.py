"""Concat of values of different types, which PyTorch promotes and ONNX refuses.

PyTorch's exporter forgets the promotion: SDXL's UNet in fp16 joins its pooled text with embeddings in fp32.
"""

from onnxscript import ir


def promote_concats(model: ir.Model) -> int:
    """Cast, in place, the inputs of every Concat of fp16 or bf16 with fp32 to fp32; return how many such there were."""
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
