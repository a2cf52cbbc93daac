"""A denoising network as PyTorch has it: how it is called, and the state that it must be in."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ddim_edge.errors import ExportError


class Positional(torch.nn.Module):
    """``module`` with its inputs by position and its prediction as a plain tensor, which is what can be traced."""

    def __init__(self, module: torch.nn.Module, names: tuple[str, ...]) -> None:
        super().__init__()
        self.unet = module
        self.names = names

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        """The prediction for the inputs in the order of ``names``."""
        sample, timestep, *rest = inputs
        conditioning = dict(zip(self.names[2:], rest, strict=True))
        return _prediction(self.unet(sample, timestep, **conditioning))


@contextmanager
def frozen(module: torch.nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients, until the end of the block; then every flag is as it was."""
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


def to_tensors(module: torch.nn.Module, inputs: Mapping[str, NDArray[Any]]) -> tuple[torch.Tensor, ...]:
    """The inputs in their order, where the module's weights are."""
    weight = next(module.parameters(), torch.empty(0))
    return tuple(torch.from_numpy(array).to(weight.device) for array in inputs.values())


def predict(module: torch.nn.Module, inputs: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
    """Run the module on named inputs; float32 (B, C', H, W). ExportError where it fails, or is no such network."""
    shapes = ", ".join(f"{name} {array.dtype} {array.shape}" for name, array in inputs.items())
    try:
        with torch.no_grad():
            output = Positional(module, tuple(inputs))(*to_tensors(module, inputs))
    except (TypeError, ValueError, RuntimeError, IndexError, AttributeError, AssertionError) as error:
        raise ExportError(f"the network itself fails on {shapes}: {first_line(error)}") from error
    batch, _, height, width = inputs["sample"].shape
    if output.dtype != torch.float32 or output.ndim != 4 or (len(output), *output.shape[2:]) != (batch, height, width):
        got = f"{str(output.dtype).removeprefix('torch.')} {tuple(output.shape)}"
        raise ExportError(f"the network must return float32 (batch, channels, height, width): {got} on {shapes}")
    if not torch.isfinite(output).all():
        raise ExportError(f"the network itself returns NaN or infinity on {shapes}")
    result: NDArray[np.float32] = output.cpu().numpy()
    return result


def first_line(error: BaseException) -> str:
    """The kind of an error and the first line of its message."""
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"


def _prediction(output: Any) -> torch.Tensor:
    """A UNet returns a tensor, a tuple that begins with it, or an object with ``sample``."""
    if isinstance(output, torch.Tensor):
        return output
    found = getattr(output, "sample", None)
    if found is None and isinstance(output, (tuple, list)) and output:
        found = output[0]
    if not isinstance(found, torch.Tensor):
        raise TypeError(f"it returned a {type(output).__name__}, not a tensor, a tuple or an object with .sample")
    return found
