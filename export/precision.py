"""Precisions of a graph: data types, and how its difference from PyTorch in float32 is measured."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

_TINY = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True, kw_only=True)
class Precision:
    """The data type of weights and values; integers are not changed."""

    name: str
    torch_dtype: torch.dtype
    numpy_dtype: type[np.floating[Any]]
    """The data type of the graph's inputs and outputs."""
    measure: Callable[[NDArray[np.float32], NDArray[np.float32]], float]
    formula: str
    """The measure, for export.json."""
    unit: str
    """The measure's unit, for messages."""
    tolerance: float

    def cast(self, array: NDArray[Any]) -> NDArray[Any]:
        """The array in this precision, if it is floating-point."""
        return array.astype(self.numpy_dtype) if np.issubdtype(array.dtype, np.floating) else array


def _largest(got: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    return float(np.abs(got - expected).max()) / max(float(expected.std()), _TINY)


def _root_mean_square(got: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    return _rms(got - expected) / max(_rms(expected), _TINY)


def _rms(values: NDArray[np.float32]) -> float:
    return float(np.sqrt(np.square(values, dtype=np.float64).mean()))


FP32 = Precision(
    name="fp32",
    torch_dtype=torch.float32,
    numpy_dtype=np.float32,
    measure=_largest,
    formula="max |onnxruntime - torch| / std(torch)",
    unit="standard deviations of the output",
    tolerance=1e-4,
)
FP16 = Precision(
    name="fp16",
    torch_dtype=torch.float16,
    numpy_dtype=np.float16,
    measure=_root_mean_square,
    formula="rms(onnxruntime in fp16 - torch in fp32) / rms(torch in fp32)",
    unit="root mean squares of the output",
    tolerance=1e-2,
)
BF16 = Precision(
    name="bf16",
    torch_dtype=torch.bfloat16,
    numpy_dtype=np.float32,
    measure=_root_mean_square,
    formula="rms(onnxruntime in fp32 with the weights rounded to bf16 - torch in fp32) / rms(torch in fp32)",
    unit="root mean squares of the output",
    tolerance=5e-2,
)
INT8_WEIGHTS = Precision(
    name="int8-weights",
    torch_dtype=torch.float32,
    numpy_dtype=np.float32,
    measure=_root_mean_square,
    formula="rms(onnxruntime with int8 weights - torch in fp32) / rms(torch in fp32)",
    unit="root mean squares of the output",
    tolerance=5e-2,
)
PRECISIONS = {precision.name: precision for precision in (FP32, FP16, BF16)}
