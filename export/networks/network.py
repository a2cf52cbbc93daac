"""A PyTorch network to export: its module, how it is called, and its signature."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray

from ddim_edge.errors import ExportError

from ..errors import error_summary
from .signature import FLOAT32_ALWAYS, Arrays, Signature, Sizes

Call = Callable[[torch.nn.Module, Mapping[str, torch.Tensor]], tuple[torch.Tensor, ...]]
"""Calls a module with inputs by name. Returns its outputs in the order of its signature."""


@dataclass(frozen=True, kw_only=True)
class Network:
    """A module with its signature. Its weights are float32 until they are rounded for the trace."""

    module: torch.nn.Module
    call: Call
    signature: Signature
    disposable: bool = False
    """Whether it was loaded for one graph only, so that its weights can be freed when the graph is written."""

    @property
    def name(self) -> str:
        """The class of the module."""
        return type(self.module).__name__


class PositionalNetwork(torch.nn.Module):
    """A network with positional inputs and a tuple of tensors as outputs, as the tracer requires."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network.module
        self.call = network.call
        self.names = network.signature.names

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Run the network on inputs in the order of the signature."""
        return self.call(self.network, dict(zip(self.names, inputs, strict=True)))


@contextmanager
def evaluation_mode(module: torch.nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients until the end of the block; then restore every flag."""
    training = [(part, part.training) for part in module.modules()]
    trainable = [parameter for parameter in module.parameters() if parameter.requires_grad]
    try:
        module.eval().requires_grad_(False)
        yield
    finally:
        for part, flag in training:
            part.training = flag
        for parameter in trainable:
            parameter.requires_grad_(True)


def free_weights(network: Network) -> None:
    """Free the weights of a disposable network.

    Deleting the module is not enough: the rules of onnxscript's rewriter keep references to what they matched last, and
    one weight of a memory-mapped file keeps the whole file mapped.
    """
    if network.disposable:
        for tensor in (*network.module.parameters(), *network.module.buffers()):
            tensor.data = torch.empty(0, dtype=tensor.dtype)


def to_tensors(module: torch.nn.Module, inputs: Mapping[str, NDArray[Any]]) -> tuple[torch.Tensor, ...]:
    """The inputs as tensors, in order, on the module's device, in the least precise data type of its weights."""
    weight = min(module.parameters(), key=lambda parameter: parameter.element_size(), default=torch.empty(0))
    tensors = {name: torch.from_numpy(array).to(weight.device) for name, array in inputs.items()}
    rounded = {name for name, tensor in tensors.items() if tensor.is_floating_point()} - FLOAT32_ALWAYS
    return tuple(tensor.to(weight.dtype) if name in rounded else tensor for name, tensor in tensors.items())


def run_network(network: Network, batch: int, sizes: Sizes, seed: int) -> tuple[Arrays, Arrays]:
    """Run the module on random inputs. Returns inputs and outputs.

    ExportError where the module fails, or its outputs do not match the signature.
    """
    inputs = network.signature.draw(batch, sizes, seed)
    shapes = ", ".join(f"{name} {array.dtype} {array.shape}" for name, array in inputs.items())
    try:
        with torch.no_grad():
            outputs = PositionalNetwork(network)(*to_tensors(network.module, inputs))
    except (TypeError, ValueError, RuntimeError, IndexError, AttributeError, AssertionError) as error:
        raise ExportError(f"the network itself fails on {shapes}: {error_summary(error)}") from error
    named = dict(zip(network.signature.outputs, outputs, strict=True))
    for name, output in named.items():
        _check_output(output, network.signature, name, {"batch": batch, **sizes}, shapes)
    return inputs, {name: output.cpu().numpy() for name, output in named.items()}


def _check_output(output: torch.Tensor, signature: Signature, name: str, lengths: Sizes, shapes: str) -> None:
    wanted = signature.shape_of(name, lengths)
    fits = len(wanted) == output.ndim and all(
        want in (None, have) for want, have in zip(wanted, output.shape, strict=True)
    )
    if not fits or output.dtype not in (torch.float32, torch.bool):
        axes = ", ".join("channels" if axis is None else str(axis) for axis in signature.outputs[name])
        got = f"{str(output.dtype).removeprefix('torch.')} {tuple(output.shape)}"
        raise ExportError(f"the network must return float32 ({axes}): {got} on {shapes}")
    if not torch.isfinite(output).all():
        raise ExportError(f"the network itself returns NaN or infinity on {shapes}")
