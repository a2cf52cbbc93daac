"""The names, types and shapes that a graph declares for its inputs and outputs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...arrays import Array
from ...errors import BundleError, shown
from .open_graph import DeclaredTensor

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

    def fits(self, shape: tuple[int | str, ...]) -> bool:
        """Whether an array of ``shape`` may be fed here."""
        if len(shape) != len(self.shape):
            return False
        return all(isinstance(want, str) or want == have for want, have in zip(self.shape, shape, strict=True))

    def cast(self, value: Array, graph_name: str) -> Array:
        """``value`` in this type, contiguous. Raises BundleError for numbers that an integer type does not have."""
        if value.dtype == self.dtype or self.dtype.kind not in "iu":
            return np.asarray(value, self.dtype, order="C")
        with np.errstate(invalid="ignore"):
            array = np.asarray(value, self.dtype, order="C")
        if not np.array_equal(array, value):
            wrong = value[array != value].flat[0]
            raise BundleError(f"{graph_name}'s input {self} takes whole numbers of its type, and was given {wrong}")
        return array

    def __str__(self) -> str:
        return f"{self.name} {self.dtype} ({', '.join(map(str, self.shape))})"


def describe(arguments: Iterable[DeclaredTensor], graph: Path, role: str) -> dict[str, TensorInfo]:
    """What a runtime says of a graph's inputs or outputs, by name.

    ``role``: "inputs" or "outputs". Raises BundleError where there are none, and for a type that NumPy does not have.
    """
    found = {argument.name: _described(argument, graph) for argument in arguments}
    if not found:
        raise BundleError(f"{graph} has no {role}, and cannot be run: export it again")
    return found


def _described(argument: DeclaredTensor, graph: Path) -> TensorInfo:
    if argument.type not in DTYPES:
        raise BundleError(f"{graph}: {shown(argument.name)} has the type {argument.type}, which cannot be run here")
    free = (dim if isinstance(dim, int) else str(dim or "?") for dim in argument.shape or ())
    return TensorInfo(argument.name, np.dtype(DTYPES[argument.type]), tuple(free))
