"""Traces a PyTorch module to an ONNX graph with free batch, height and width."""

import operator
from unittest.mock import patch

import torch
from onnxscript import ir
from torch.export import Dim
from torch.utils._sympy.reference import PythonReferenceAnalysis

from ddim_edge.errors import ExportError

from ..errors import error_summary
from ..networks.network import Network, PositionalNetwork, to_tensors
from ..networks.signature import Input, Signature

_EXAMPLE_BATCH = 2  # with 1, the tracer would make the batch a constant
# diffusers' upsampling divides lengths. PyTorch 2.13 has SymPy do it, which fails on traced lengths; then the whole
# network is traced again by another way, which takes more than twice as long.
_LENGTHS_ARE_DIVIDED = patch.object(PythonReferenceAnalysis, "int_truediv", operator.truediv, create=True)


def trace(network: Network, opset: int) -> ir.Model:
    """Trace the module, which must be in evaluation mode. ExportError where PyTorch cannot trace it."""
    signature = network.signature
    inputs = signature.draw(signature.batch or _EXAMPLE_BATCH, signature.sizes[-1], seed=0)
    try:
        with _LENGTHS_ARE_DIVIDED:
            program = torch.onnx.export(
                PositionalNetwork(network).eval(),
                to_tensors(network.module, inputs),
                input_names=list(signature.names),
                output_names=list(signature.outputs),
                dynamic_shapes=(tuple(_free_axes(entry) for entry in signature.inputs),),
                opset_version=opset,
                dynamo=True,
                verbose=False,
            )
    except (torch.onnx.OnnxExporterError, RuntimeError, ValueError, TypeError) as error:
        reason = error_summary(error.__cause__ or error)
        raise ExportError(f"PyTorch cannot trace this {network.name} to ONNX: {reason}") from error
    assert program is not None
    return _name_axes(program.model, signature)


def _free_axes(entry: Input) -> dict[int, Dim]:
    return {position: Dim.DYNAMIC for position, axis in enumerate(entry.axes) if isinstance(axis, str)}


def _name_axes(model: ir.Model, signature: Signature) -> ir.Model:
    """Name the free axes of inputs and outputs."""
    for value, entry in zip(model.graph.inputs, signature.inputs, strict=True):
        value.shape = ir.Shape(entry.axes)
    for value, axes in zip(model.graph.outputs, signature.outputs.values(), strict=True):
        assert value.shape is not None
        lengths = zip(axes, value.shape, strict=True)
        value.shape = ir.Shape([axis if isinstance(axis, str) else length for axis, length in lengths])
    return model
