"""How large the values within a network become: fp16 ends at 65504. Layers that go beyond are kept in float32.

ONNX Runtime's CPU computes fp16 graphs mostly in float32, and does not show what would overflow on a GPU.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

LARGEST = float(np.finfo(np.float16).max) / 2
"""The limit, with room for inputs that were not tried; and so that the sum of two values within it is finite."""


class Magnitudes:
    """The largest magnitude of all values that went into, and came out of, each part of a network."""

    def __init__(self, module: torch.nn.Module) -> None:
        self.module = module
        self.taken: dict[torch.nn.Module, float] = {}
        self.given: dict[torch.nn.Module, float] = {}

    def __call__(self, part: torch.nn.Module, inputs: Any, output: Any) -> None:
        """See one call of a part."""
        self.taken[part] = max(self.taken.get(part, 0.0), _largest(inputs))
        self.given[part] = max(self.given.get(part, 0.0), _largest(output))

    @property
    def largest(self) -> float:
        """The largest of all."""
        return max(self.given.values(), default=0.0)

    def layers(self) -> dict[str, torch.nn.Module]:
        """The layers with weights that overflow by themselves, or whose block adds something to them and overflows."""
        return {name: part for name, part in layers_with_weights(self.module).items() if part in self._overflowing()}

    def _overflowing(self) -> set[torch.nn.Module]:
        blocks = [part for part, value in self.given.items() if not value <= LARGEST]
        # A block that only passes on what a block within it returned is not at fault.
        innermost = [part for part in blocks if not (set(part.modules()) - {part}) & {*blocks}]
        within = {inner for part in innermost if part is not self.module for inner in part.modules()}
        return within | {part for part, value in self.taken.items() if not value <= LARGEST} | {*blocks}


@contextmanager
def record_magnitudes(module: torch.nn.Module) -> Iterator[Magnitudes]:
    """Watch all parts of ``module`` until the end of the block."""
    magnitudes = Magnitudes(module)
    hooks = [part.register_forward_hook(magnitudes) for part in module.modules()]
    try:
        yield magnitudes
    finally:
        for hook in hooks:
            hook.remove()


def layers_with_weights(module: torch.nn.Module) -> dict[str, torch.nn.Module]:
    """The parts that have weights of their own, by name."""
    return {name: part for name, part in module.named_modules() if any(True for _ in part.parameters(recurse=False))}


def to_float16(module: torch.nn.Module, kept: dict[str, torch.nn.Module]) -> None:
    """Make a network float16 but for some layers; from now on, every layer casts what it takes to its own type.

    What a layer in float32 returns stays in float32, through additions and the like, until the next in float16.
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
