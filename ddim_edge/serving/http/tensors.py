"""Tensors of KServe's protocol: NumPy arrays as JSON or binary data, with the protocol's names of their types."""

import math
from typing import Any

import numpy as np

from ...arrays import Array
from ...errors import choose_from
from ..errors import BadRequest

DATATYPES = {
    "BOOL": np.dtype(np.bool_),
    **{f"{name}{bits}": np.dtype(f"{name.lower()}{bits}") for name in ("INT", "UINT") for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": np.dtype(f"float{bits}") for bits in (16, 32, 64)},
}
"""The types that are taken, by their names."""
_NAMES = {kind: name for name, kind in DATATYPES.items()}
_MAY_BECOME = {"f": "fiu", "i": "iu", "u": "iu", "b": "b"}
"""Of which kinds the numbers of JSON may be, for each kind of type."""


def datatype_of(kind: np.dtype[Any]) -> str:
    """The protocol's name of a type of NumPy."""
    return _NAMES[kind]


def dtype_of(name: str, datatype: str) -> np.dtype[Any]:
    """NumPy's type for the datatype of the input ``name``. Raises BadRequest for one that is not taken."""
    if datatype not in DATATYPES:
        raise BadRequest(choose_from(f"{name}'s datatype", datatype, DATATYPES), param=name)
    return DATATYPES[datatype]


def array_of_bytes(name: str, kind: np.dtype[Any], shape: list[int], contents: memoryview) -> Array:
    """An array of binary data: row-major, little-endian. Raises BadRequest for another number of bytes."""
    wanted = math.prod(shape) * kind.itemsize
    if len(contents) != wanted:
        message = f"{name} has {len(contents)} bytes of binary data, and its shape {shape} and datatype want {wanted}"
        raise BadRequest(message, param=name)
    stored = np.dtype(np.uint8) if kind == np.bool_ else kind.newbyteorder("<")  # of a bool, all but 0 is true
    array: Array = np.frombuffer(contents, stored).astype(kind, copy=False).reshape(shape)
    return array


def array_of_json(name: str, kind: np.dtype[Any], shape: list[int], data: list[Any]) -> Array:
    """An array of a JSON list, flat in row-major order or nested as the shape. Raises BadRequest for another one."""
    try:
        given = np.asarray(data)
    except ValueError:  # lists of different lengths, or too deep
        raise BadRequest(f"{name}: data must be a flat list, or nested as the shape {shape}", param=name) from None
    if given.size and given.dtype.kind not in _MAY_BECOME[kind.kind]:
        raise BadRequest(f"{name}: data must be {_NAMES[kind]}, and some of it is not", param=name)
    if given.shape not in ((math.prod(shape),), tuple(shape)):
        message = f"{name}: data has {given.size} numbers in the shape {list(given.shape)}, and shape says {shape}"
        raise BadRequest(message, param=name)
    if kind.kind in "iu" and given.size and not _is_within(given, kind):
        raise BadRequest(f"{name} has numbers beyond {_NAMES[kind]}", param=name)
    with np.errstate(over="ignore"):  # infinity is refused where the model is known
        return given.astype(kind).reshape(shape)


def _is_within(given: Array, kind: np.dtype[Any]) -> bool:
    limits = np.iinfo(kind)
    return limits.min <= int(given.min()) and int(given.max()) <= limits.max
