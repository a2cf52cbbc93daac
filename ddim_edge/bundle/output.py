"""Output: what a bundle's samples are: images, or arrays with axes, units and a normalization to undo."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self, get_args

import numpy as np

from ..arrays import Sample
from ..errors import BundleError, shown
from ..images.quantities import QUANTITIES
from .json_files import read_optional
from .layout import OUTPUT

Kind = Literal["image", "array"]
_BOUNDS = {"mean_std": ("mean", "std"), "min_max": ("min", "max")}
"""The modes of a normalization, and the keys of its numbers."""
_CHANNELS = (1, 3, 4)
"""Of a picture."""


@dataclass(frozen=True)
class Normalization:
    """How an array's numbers were normalized before training: value = offset + scale·sample.

    Attributes:
        mode: ``mean_std``, where samples are (value - mean)/std, or ``min_max``, where they are in [-1, 1].
        axis: the axis of a sample, without the batch, along which the numbers stand; negative ones count from the last.
        offset, scale: one number each, or one for each entry of that axis.
    """

    mode: str
    axis: int
    offset: tuple[float, ...]
    scale: tuple[float, ...]

    @classmethod
    def from_json(cls, keys: Mapping[str, Any], shape: Sequence[int], where: str) -> Self:
        """Read the key ``normalization`` for samples of ``shape``. BundleError, which names ``where``."""
        mode, axis = keys.get("mode"), -1 if keys.get("axis") is None else keys["axis"]
        if mode not in _BOUNDS:
            raise BundleError(f"{where}: normalization's mode must be {' or '.join(_BOUNDS)}, not {shown(mode)}")
        if not -len(shape) <= axis < len(shape):
            raise BundleError(f"{where}: normalization's axis {axis} is none of samples of shape {tuple(shape)}")
        first, second = (_numbers(keys, name, shape[axis], where) for name in _BOUNDS[mode])
        if len(first) != len(second):
            raise BundleError(f"{where}: {' and '.join(_BOUNDS[mode])} must have the same number of items")
        if mode == "mean_std":
            return cls(mode, axis, first, second)
        pairs = list(zip(first, second, strict=True))
        return cls(mode, axis, tuple((low + high) / 2 for low, high in pairs), tuple((b - a) / 2 for a, b in pairs))

    def restored(self, samples: Sample) -> Sample:
        """The values of samples, float32 (N, …), in float32. They are computed in float64 and rounded once."""
        axis = self.axis % (samples.ndim - 1) + 1
        sides = [-1 if position == axis else 1 for position in range(samples.ndim)]
        offset, scale = (np.array(numbers, np.float64).reshape(sides) for numbers in (self.offset, self.scale))
        values: Sample = (offset + scale * samples).astype(np.float32)
        return values


def _numbers(keys: Mapping[str, Any], name: str, side: int, where: str) -> tuple[float, ...]:
    """The numbers of a normalization. ``check_json_files`` has checked their type."""
    numbers = tuple(map(float, keys.get(name) or ()))
    if len(numbers) not in (1, side):
        raise BundleError(f"{where}: normalization's {name} must have {side} numbers, or one, not {len(numbers)}")
    if name == "std" and min(numbers) < 0:
        raise BundleError(f"{where}: normalization's std must not be negative, as {min(numbers):g} is")
    return numbers


@dataclass(frozen=True)
class Output:
    """What samples are.

    Attributes:
        kind: ``image`` for pixels in [-1, 1], or ``array``.
        axes: the names of a sample's axes, without the batch; empty if they have none.
        units: of an array's values; empty if it is not known.
        names: of the entries of the normalization's axis, of the last axis without one; empty if they have none.
        normalization: what to undo; None for nothing.
        quantity: what pictures mean, where they are no photographs: a key of ``images.quantities``; else empty.
    """

    kind: Kind
    axes: tuple[str, ...] = ()
    units: str = ""
    names: tuple[str, ...] = ()
    normalization: Normalization | None = None
    quantity: str = ""

    @classmethod
    def read(cls, folder: Path, shape: Sequence[int], *, has_autoencoder: bool) -> Self:
        """Read a bundle's output.json for samples of ``shape``, without the batch; BundleError for a broken one.

        Without the file, samples are images if there is an autoencoder or they have the shape of images, else arrays.
        """
        keys, where = read_optional(folder / OUTPUT), str(folder / OUTPUT)
        may_be_image = has_autoencoder or (len(shape) == 3 and shape[0] in _CHANNELS)
        kind: Any = keys.get("kind") or ("image" if may_be_image else "array")
        if kind not in get_args(Kind):
            raise BundleError(f"{where}: kind must be image or array, not {shown(kind)}")
        if kind == "image" and not may_be_image:
            raise BundleError(f"{where}: samples of shape {tuple(shape)} are no images: kind must be array")
        if has_autoencoder and kind == "array":
            raise BundleError(f"{where}: a model with an autoencoder makes images: kind must be image")
        normalization = keys.get("normalization")
        if kind == "image" and normalization is not None:
            raise BundleError(f"{where}: images are in [-1, 1]: leave normalization out, or set kind to array")
        undone = None if normalization is None else Normalization.from_json(normalization, shape, where)
        quantity = keys.get("quantity") or ""
        if quantity and (quantity not in QUANTITIES or kind != "image"):
            raise BundleError(f"{where}: quantity must be one of {', '.join(QUANTITIES)}, of images, not {quantity!r}")
        axes, names = tuple(keys.get("axes") or ()), tuple(keys.get("names") or ())
        output = cls(kind, axes, keys.get("units") or "", names, undone, quantity)
        output._check(shape, where)
        return output

    @property
    def is_image(self) -> bool:
        """Whether samples become pictures."""
        return self.kind == "image"

    @property
    def fixed_axis(self) -> int | None:
        """The axis whose entries have names or numbers of their own, negative from the last on; None for none."""
        undone = self.normalization
        if not self.names and (undone is None or len(undone.offset) == 1):
            return None
        return -1 if undone is None else undone.axis

    def restored(self, samples: Sample) -> Sample:
        """Samples, float32 (N, …), in the output's units, float32: with the normalization undone, if there is one."""
        return samples if self.normalization is None else self.normalization.restored(samples)

    def _check(self, shape: Sequence[int], where: str) -> None:
        """Raise BundleError for names that do not fit the shape."""
        side = shape[-1 if self.normalization is None else self.normalization.axis]
        for name, found, wanted in (("axes", self.axes, len(shape)), ("names", self.names, side)):
            if found and len(found) != wanted:
                raise BundleError(f"{where}: {name} must have {wanted} items for samples of {tuple(shape)}")


IMAGE = Output("image")
"""Pixels in [-1, 1]."""
