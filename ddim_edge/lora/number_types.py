"""Number types of weights, by their numbers in onnx.proto: bytes of a file to float32 and back."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

FLOAT, FLOAT16, BFLOAT16 = 1, 10, 16
_TYPES: Mapping[int, np.dtype[Any]] = {FLOAT: np.dtype("<f4"), FLOAT16: np.dtype("<f2"), BFLOAT16: np.dtype("<u2")}
REAL = frozenset(_TYPES)
"""The types that are read here."""


def item_size(element: int) -> int:
    """Bytes of one number."""
    return _TYPES[element].itemsize


def to_float32(contents: bytes | memoryview, element: int) -> NDArray[np.float32]:
    """The numbers in ``contents``, float32, in one axis."""
    numbers = np.frombuffer(contents, _TYPES[element])
    if element == BFLOAT16:  # the upper half of a float32
        return (numbers.astype("<u4") << 16).view("<f4")
    return numbers.astype(np.float32)


def from_float32(numbers: NDArray[np.float32], element: int) -> bytes:
    """The bytes of ``numbers``, rounded to the nearest of that type, of two equally near ones to the even one."""
    if element != BFLOAT16:
        rounded: NDArray[Any] = numbers.astype(_TYPES[element])
        return rounded.tobytes()
    bits = np.ascontiguousarray(numbers, "<f4").view("<u4")
    to_even: NDArray[Any] = (bits + (0x7FFF + ((bits >> 16) & 1))) >> 16
    return to_even.astype("<u2").tobytes()
