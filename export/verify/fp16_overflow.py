"""Finds layers whose values overflow in fp16, whose largest value is 65504, and keeps them in float32.

ONNX Runtime's CPU provider computes fp16 graphs mostly in float32, and does not show what overflows on a GPU.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

LIMIT = float(np.finfo(np.float16).max) / 2
"""Half of fp16's largest value: a margin for other inputs, and the sum of two values below it is finite."""


class Magnitudes:
    """The largest magnitude of the inputs and of the outputs of each submodule of a network."""

    def __init__(self, module: torch.nn.Module) -> None:
        self.module = module
        self.inputs: dict[torch.nn.Module, float] = {}
        self.outputs: dict[torch.nn.Module, float] = {}

    def __call__(self, part: torch.nn.Module, inputs: Any, output: Any) -> None:
        """The forward hook: record one call of a submodule."""
        self.inputs[part] = max(self.inputs.get(part, 0.0), _largest(inputs))
        self.outputs[part] = max(self.outputs.get(part, 0.0), _largest(output))

    @property
    def largest(self) -> float:
        """The largest magnitude of all outputs."""
        return max(self.outputs.values(), default=0.0)

    def overflowing_layers(self) -> dict[str, torch.nn.Module]:
        """The layers with weights that overflow, or whose block overflows because it adds to their outputs."""
        return {name: part for name, part in layers_with_weights(self.module).items() if part in self._overflowing()}

    def _overflowing(self) -> set[torch.nn.Module]:
        blocks = [part for part, value in self.outputs.items() if not value <= LIMIT]
        # Take the innermost blocks: an outer one may only return an inner one's output.
        innermost = [part for part in blocks if not (set(part.modules()) - {part}) & {*blocks}]
        within = {inner for part in innermost if part is not self.module for inner in part.modules()}
        return within | {part for part, value in self.inputs.items() if not value <= LIMIT} | {*blocks}


@contextmanager
def record_magnitudes(module: torch.nn.Module) -> Iterator[Magnitudes]:
    """Record the magnitudes in ``module`` until the end of the block."""
    magnitudes = Magnitudes(module)
    hooks = [part.register_forward_hook(magnitudes) for part in module.modules()]
    try:
        yield magnitudes
    finally:
        for hook in hooks:
            hook.remove()


def layers_with_weights(module: torch.nn.Module) -> dict[str, torch.nn.Module]:
    """The submodules that have weights of their own, by name."""
    return {name: part for name, part in module.named_modules() if any(True for _ in part.parameters(recurse=False))}


def to_float16(module: torch.nn.Module, kept: dict[str, torch.nn.Module]) -> None:
    """Convert a network to float16, in place, except the layers in ``kept``. Each layer then casts its inputs.

    The output of a layer in float32 stays in float32, through additions and the like, until the next float16 layer.
    """
    module.half()
    for layer in kept.values():
        layer.float()
    for layer in layers_with_weights(module).values() if kept else ():
        layer.register_forward_pre_hook(_cast)


def _cast(layer: torch.nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    kind = next(layer.parameters(recurse=False)).dtype
    return tuple(
        value.to(kind) if isinstance(value, torch.Tensor) and value.is_floating_point() else value for value in inputs
    )


def _largest(values: Any) -> float:
    if isinstance(values, torch.Tensor):
        return float(values.abs().max()) if values.is_floating_point() and values.numel() else 0.0
    return max(map(_largest, values), default=0.0) if isinstance(values, (tuple, list)) else 0.0
