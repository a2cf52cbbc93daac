"""From a PyTorch module to an ONNX graph with free batch, height and width."""

import torch
from onnxscript import ir
from torch.export import Dim

from ddim_edge.errors import ExportError

from .module import Positional, first_line, to_tensors
from .signature import Signature

OPSET = 23
"""The first with native Attention: half the nodes of opset 20, the same speed, and less memory."""

_EXAMPLE_BATCH = 2  # of 1, the tracer would conclude that the batch is always 1
_AXES = {0: "batch", 2: "height", 3: "width"}


def trace(module: torch.nn.Module, signature: Signature) -> ir.Model:
    """Trace ``module``, which must be in evaluation mode. ExportError where PyTorch cannot."""
    inputs = signature.draw(_EXAMPLE_BATCH, signature.sizes[1], seed=0)
    try:
        program = torch.onnx.export(
            Positional(module, signature.names).eval(),
            to_tensors(module, inputs),
            input_names=list(signature.names),
            output_names=["out_sample"],
            dynamic_shapes=(tuple(_free_axes(name) for name in signature.names),),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    except (torch.onnx.OnnxExporterError, RuntimeError, ValueError, TypeError) as error:
        reason = first_line(error.__cause__ or error)
        raise ExportError(f"PyTorch cannot trace this {type(module).__name__} to ONNX: {reason}") from error
    assert program is not None
    return _name_axes(program.model)


def _free_axes(name: str) -> dict[int, Dim]:
    return dict.fromkeys(_AXES if name == "sample" else (0,), Dim.DYNAMIC)


def _name_axes(model: ir.Model) -> ir.Model:
    """Call the free axes of the inputs and of the output by their names."""
    for value in (*model.graph.inputs, *model.graph.outputs):
        assert value.shape is not None
        axes = _AXES if len(value.shape) == 4 else {0: "batch"}
        value.shape = ir.Shape([axes.get(axis, length) for axis, length in enumerate(value.shape)])
    return model
