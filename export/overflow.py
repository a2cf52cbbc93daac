"""How large the values within a network become: fp16 ends at 65504.

ONNX Runtime's CPU computes fp16 graphs mostly in float32, and does not show what would overflow on a GPU.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

LARGEST = float(np.finfo(np.float16).max) / 2
"""The limit, with room for inputs that were not tried."""


class Peak:
    """The largest magnitude of all values so far."""

    value = 0.0

    def __call__(self, _module: torch.nn.Module, _inputs: Any, output: Any) -> None:
        """See one output of a module."""
        if isinstance(output, torch.Tensor) and output.is_floating_point():
            self.value = max(self.value, float(output.abs().max()))


@contextmanager
def peak_of(module: torch.nn.Module) -> Iterator[Peak]:
    """Watch the outputs of all parts of ``module`` until the end of the block."""
    peak = Peak()
    hooks = [part.register_forward_hook(peak) for part in module.modules()]
    try:
        yield peak
    finally:
        for hook in hooks:
            hook.remove()
