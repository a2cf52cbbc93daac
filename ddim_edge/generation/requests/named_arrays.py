"""Conditioning by name: values for the inputs of a UNet that no rule knows, one row an image, or one for all."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...arrays import Array, Conditioning
from ...bundle.bundle import Bundle
from ...errors import ConfigError, choose_from, listed, shortened, shown
from ...graphs.inputs import Declared
from .origin import sha256_of

_TYPES: Mapping[int, type[np.generic]] = {
    1: np.float32,
    6: np.int32,
    7: np.int64,
    9: np.bool_,
    10: np.float32,
    11: np.float64,
}
"""The type of the values, by its number in onnx.proto. Those for an fp16 graph are rounded where it is run."""
_MAY_BECOME = {"f": "fiu", "i": "iu", "b": "b"}
"""Of which kinds of types an array may be, for each kind that the graph takes."""


@dataclass(frozen=True, eq=False)
class NamedArrays:
    """Values for a UNet's free inputs, by name. Image k uses row k; a single row is for all images.

    ``arrays`` has the types of the graph, and a batch axis: ``fitted`` makes it of what a caller gave. Those with the
    same contents are equal.
    """

    arrays: Conditioning

    def row(self, index: int) -> Conditioning:
        """The values for image ``index``, each with a batch axis of 1."""
        return {name: array if len(array) == 1 else array[index : index + 1] for name, array in self.arrays.items()}

    @property
    def num_rows(self) -> int:
        """The number of images that have a row each; 1 where one row is for all."""
        return max(map(len, self.arrays.values()), default=1)

    def to_json(self) -> dict[str, str]:
        """The SHA-256 of each array, by its name, as a recipe stores it."""
        return {name: sha256_of(array) for name, array in sorted(self.arrays.items())}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NamedArrays) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash(tuple(self.to_json().items()))


def fitted(bundle: Bundle, given: object) -> NamedArrays | None:
    """The values that a caller gave for a model, a mapping from name to array; None for None.

    An array may lack the batch axis. ConfigError for names, types and shapes that are not those of the graph.
    """
    if given is None or isinstance(given, NamedArrays):
        return given
    if not isinstance(given, Mapping):
        raise ConfigError(f"conditioning must be a mapping from names to arrays, not {shown(given)}")
    check_names(bundle, given)
    return NamedArrays({name: _fitted(name, given[name], found) for name, found in bundle.free_inputs.items()})


def zeros_for(bundle: Bundle) -> dict[str, Array]:
    """Zeros for the model's free inputs, one row for all images; free axes have a length of 1."""
    return {
        name: np.zeros([1, *(side if isinstance(side, int) else 1 for side in found.shape[1:])], feed_type(found))
        for name, found in bundle.free_inputs.items()
    }


def feed_type(declared: Declared) -> np.dtype[Any]:
    """The type of the values that are given for an input; float32 where the graph has one that is not fed."""
    return np.dtype(_TYPES.get(declared.element, np.float32))


def check_named(bundle: Bundle, named: NamedArrays | None, num_images: int) -> None:
    """Raise ConfigError for values that do not fit the model, or the number of images."""
    arrays = {} if named is None else named.arrays
    check_names(bundle, arrays)
    for name, array in arrays.items():
        _fitted(name, array, bundle.free_inputs[name])
        if len(array) not in (1, num_images):
            raise ConfigError(
                f"conditioning {name} has {len(array)} rows, and there are {num_images} images: give one row an image, "
                "or one for all"
            )


def check_same_named(wanted: Any, named: NamedArrays | None) -> None:
    """Raise ConfigError unless ``named`` has the hashes ``wanted``, which a recipe stores."""
    found = {} if named is None else named.to_json()
    if not isinstance(wanted, Mapping) or wanted.keys() != found.keys():
        names = listed(map(str, wanted)) if isinstance(wanted, Mapping) else ""
        raise ConfigError(
            f"the recipe holds only the hash of the conditioning, of {names or 'no input'}: give the same conditioning"
        )
    for name, value in found.items():
        if wanted[name] != value:
            raise ConfigError(f"the samples were made with another {name}: its hash is {str(wanted[name])[:12]}…")


def check_names(bundle: Bundle, names: Iterable[str]) -> None:
    """Raise ConfigError unless ``names`` are those of the model's free inputs."""
    wanted, given = bundle.free_inputs, list(names)
    for name in given:
        if not wanted:
            raise ConfigError(f"{bundle.name} takes no conditioning by name: leave conditioning out")
        if name not in wanted:
            raise ConfigError(choose_from(f"{bundle.name}'s conditioning", name, wanted))
    missing = [described(name, found) for name, found in wanted.items() if name not in given]
    if missing:
        raise ConfigError(
            f"{bundle.name} needs an array for {shortened('; '.join(missing))}: give conditioning={{name: array}} "
            "(--conditioning FILE.npz)"
        )


def described(name: str, wanted: Declared) -> str:
    """An input as messages and `inspect` have it: its name, type and shape."""
    kind = "float16" if wanted.is_half else np.dtype(_TYPES.get(wanted.element, np.void)).name
    return shortened(f"{name} {kind} ({', '.join(map(str, wanted.shape))})")


def _fitted(name: str, value: object, wanted: Declared) -> Array:
    """A value in the graph's type, with a batch axis, read-only."""
    kind = _TYPES.get(wanted.element)
    if kind is None or not wanted.shape:
        raise ConfigError(f"the graph's input {described(name, wanted)} has no batch axis, or a type that is not fed")
    array, takes = np.asarray(value), f"and the graph takes {described(name, wanted)}"
    if array.dtype.kind not in _MAY_BECOME[np.dtype(kind).kind]:
        raise ConfigError(f"conditioning {name} has the type {array.dtype}, {takes}")
    rows = array[np.newaxis] if array.ndim == len(wanted.shape) - 1 else array
    if not rows.size or not _fits(rows.shape, wanted.shape):
        raise ConfigError(f"conditioning {name} has the shape {array.shape}, {takes}")
    with np.errstate(over="ignore", invalid="ignore"):
        typed = np.array(rows, kind, order="C")
    if typed.dtype.kind == "f" and not np.isfinite(typed).all():
        raise ConfigError(f"conditioning {name} has NaN or infinity, or numbers beyond {typed.dtype}")
    if typed.dtype.kind == "i" and not np.array_equal(typed, rows):
        raise ConfigError(f"conditioning {name} has numbers beyond {typed.dtype}")
    typed.setflags(write=False)
    return typed


def _fits(shape: tuple[int, ...], wanted: tuple[int | str, ...]) -> bool:
    """Whether the axes behind the batch's are those of the graph, as far as it says them."""
    return len(shape) == len(wanted) and all(
        isinstance(axis, str) or axis == side for axis, side in zip(wanted[1:], shape[1:], strict=True)
    )
