"""The names, types and shapes that a graph declares for its inputs and outputs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

DTYPES: Mapping[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
}
"""NumPy's type for each of ONNX Runtime's type names."""


@dataclass(frozen=True)
class TensorInfo:
    """An input or output of a graph. A fixed dimension is a number, a free one a name."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | str, ...]

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether an array of ``shape`` may be fed here."""
        if len(shape) != len(self.shape):
            return False
        return all(isinstance(want, str) or want == have for want, have in zip(self.shape, shape, strict=True))

    def __str__(self) -> str:
        return f"{self.name} {self.dtype} ({', '.join(map(str, self.shape))})"
