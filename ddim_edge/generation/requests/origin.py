"""What images are made from besides noise: an image to change, a mask, latents in the noise's place, control images."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...arrays import Sample
from ...errors import ConfigError


@dataclass(frozen=True, eq=False)
class Origin:
    """Arrays that a request starts from; image k of it takes row k, in turn where there are fewer.

    Attributes:
        latents: x_T, float32 (N, C, H, W), in the place of the noise that a seed draws.
        image: float32 (N, C, H, W) in [-1, 1], of the size of the images, to be noised and changed.
        mask: bool (1, 1, H, W), of that size, too, True where ``image`` is made new; all of it without a mask.
        controls: what each ControlNet is shown, float32 (N, C, H, W) in [0, 1], of that size, too.

    Origins of the same contents are equal. Raises ConfigError for a mask without an image, and for both others at once.
    """

    latents: Sample | None = None
    image: Sample | None = None
    mask: NDArray[np.bool_] | None = None
    controls: tuple[Sample, ...] = ()

    def __post_init__(self) -> None:
        if self.latents is not None and self.image is not None:
            raise ConfigError("latents and an image to start from exclude each other: give one of them")
        for name, array in (("latents", self.latents), ("image", self.image)):
            if array is not None and not np.size(array):
                raise ConfigError(f"the {name} are empty: give at least one")
        if self.mask is not None and self.image is None:
            raise ConfigError("a mask says what to change in an image: give the image to start from, too")

    def to_json(self) -> dict[str, str]:
        """The hash of each array, by its name: what a recipe can hold of them."""
        arrays = {"latents": self.latents, "image": self.image, "mask": self.mask}
        arrays |= {control_name(index): array for index, array in enumerate(self.controls)}
        return {name: _sha256(array) for name, array in arrays.items() if array is not None}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Origin) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash(tuple(self.to_json().items()))

    def check_shape(self, sample: tuple[int, int, int], image: tuple[int, int, int]) -> None:
        """Refuse arrays that do not fit samples and images of these shapes (C, H, W), and NaN or infinity."""
        for name, array, shape in (("latents", self.latents, sample), ("image", self.image, image)):
            if array is not None:
                check_array(name, array, shape)
        if self.mask is not None and self.mask.shape != (1, 1, *image[1:]):
            raise ConfigError(f"the mask has the shape {self.mask.shape}, and the model wants (1, 1, {image[1:]})")


def check_same_origin(wanted: Any, origin: Origin | None) -> None:
    """ConfigError unless ``origin`` is what a recipe's hashes, ``wanted``, stand for."""
    if not isinstance(wanted, Mapping) or not all(isinstance(value, str) for value in wanted.values()):
        raise ConfigError(f"the recipe's origin must be an object of hashes, not {wanted!r}")
    found = origin.to_json() if origin else {}
    for name in sorted({*wanted, *found}):
        if name not in found:
            raise ConfigError(f"the images were made from {name}, of which a recipe holds only the hash: give it, too")
        if name not in wanted:
            raise ConfigError(f"the images were not made from any {name}: leave it out")
        if wanted[name] != found[name]:
            raise ConfigError(f"the images were made from another {name}: its hash is {wanted[name][:12]}…")


def control_name(index: int) -> str:
    """What a recipe and messages call a control image."""
    return f"control_image_{index}" if index else "control_image"


def check_array(name: str, array: Sample, shape: tuple[int, int, int]) -> None:
    """Refuse an array that is not (N, *shape) and finite with ConfigError."""
    if array.ndim != 4 or array.shape[1:] != shape or not len(array):
        raise ConfigError(f"the {name} have the shape {array.shape}, and the model wants (N, {shape})")
    if not np.isfinite(array).all():
        raise ConfigError(f"the {name} hold NaN or infinity")


def row_for_image(array: NDArray[np.float32], index: int) -> Sample:
    """Row ``index`` of an array that is repeated as often as needed, with its batch axis."""
    position = index % len(array)
    return array[position : position + 1]


def _sha256(array: NDArray[np.generic]) -> str:
    header = f"{array.dtype.str}{array.shape}".encode()
    return hashlib.sha256(header + np.ascontiguousarray(array).tobytes()).hexdigest()
