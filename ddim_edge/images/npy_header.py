"""Reads the header of an array in the .npy format: its shape and type, before its values."""

import math
from typing import IO, NamedTuple

import numpy as np

_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


class NpyHeader(NamedTuple):
    """The header of a .npy file."""

    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]

    @property
    def size(self) -> int:
        """The size of the values in bytes."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_npy_header(file: IO[bytes]) -> NpyHeader:
    """Read the header; ``file`` then stands at the first value. Raises ValueError where it is broken."""
    try:
        shape, _, dtype = _READERS[np.lib.format.read_magic(file)](file)
    except Exception as error:  # NumPy parses it as Python source, which fails in many ways
        raise ValueError(f"it has no .npy header that can be read ({type(error).__name__})") from None
    if dtype.hasobject or any(side < 0 for side in shape):
        raise ValueError(f"its .npy header has the shape {shape} and the type {dtype}")
    return NpyHeader(shape, dtype)
