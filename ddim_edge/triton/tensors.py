"""NumPy arrays as tensors of Triton's Python backend."""

import ctypes

import numpy as np
import triton_python_backend_utils as pb_utils

from ..arrays import Array

_USED = ctypes.c_char_p(b"used_dltensor")
_rename = ctypes.pythonapi.PyCapsule_SetName
_rename.argtypes = [ctypes.py_object, ctypes.c_char_p]


def tensor(name: str, array: Array) -> "pb_utils.Tensor":
    """A tensor with the contents of ``array``, by DLPack.

    ``pb_utils.Tensor(name, array)`` reads NumPy's own structures, which versions that were built for NumPy 1 misread
    under NumPy 2. DLPack is the same for both.
    """
    capsule = np.require(array, requirements=["C", "W"]).__dlpack__()
    made = pb_utils.Tensor.from_dlpack(name, capsule)
    # The backend gives a capsule that it has taken over another name than the standard, and NumPy complains of it.
    _rename(capsule, _USED)
    return made
