"""Memory that has been freed, and that the C library keeps instead of giving it back to the system."""

import ctypes
import sys
from collections.abc import Callable
from functools import cache
from typing import Any


def give_back() -> None:
    """Give it back, where the C library is glibc; the others do so by themselves, or cannot be asked.

    ONNX Runtime reads a graph's weights, lays them out anew and frees what it read: in many pieces, of which glibc
    keeps those below 32 MiB. That comes to two thirds of the weights.
    """
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


@cache
def _malloc_trim() -> Callable[[int], Any] | None:
    return getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
