"""Origin: what images are made from besides noise: an initial image, a mask, latents, images for networks."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...arrays import Sample, Shape
from ...bundle.layout import numbered
from ...errors import LONGEST_SHOWN, ConfigError, shown


@dataclass(frozen=True, eq=False)
class Origin:
    """Arrays that a request starts from. Image k uses row k; if there are fewer rows, they are used in turn.

    Attributes:
        latents: x_T, float32 (N, *shape of a sample), instead of noise drawn from the seed.
        image: the initial image, to be noised and changed, float32 (N, C, H, W) in [-1, 1], of the images' size.
        mask: bool (1, 1, H, W), of that size: True where ``image`` is made new; without a mask all of it is.
        picture: what the channels behind the sample's are made from, float32 (N, C, H, W) in [-1, 1], of the images'
            size, or of the latents' for pixels and depth maps.
        controls: the image of each ControlNet, float32 (N, C, H, W) in [0, 1], of that size.
        ip_adapter_images: the image of each IP-Adapter, float32 (N, 3, side, side), as its encoder takes it.

    Origins with the same contents are equal. Raises ConfigError for a mask without an image, and for latents with one.
    """

    latents: Sample | None = None
    image: Sample | None = None
    mask: NDArray[np.bool_] | None = None
    controls: tuple[Sample, ...] = ()
    ip_adapter_images: tuple[Sample, ...] = ()
    picture: Sample | None = None

    def __post_init__(self) -> None:
        if self.latents is not None and self.image is not None:
            raise ConfigError("latents and an initial image cannot be combined: give one of them")
        for name, array in (("latents", self.latents), ("image", self.image)):
            if array is not None and not np.size(array):
                raise ConfigError(f"{name} is empty: give at least one")
        if self.mask is not None and self.image is None:
            raise ConfigError("a mask needs an initial image to change: give the image (--init-image), too")

    def to_json(self) -> dict[str, str]:
        """The SHA-256 of each array, by its name, as a recipe stores it."""
        arrays = {"latents": self.latents, "image": self.image, "mask": self.mask, "picture": self.picture}
        arrays |= {control_name(index): array for index, array in enumerate(self.controls)}
        arrays |= {ip_adapter_image_name(index): array for index, array in enumerate(self.ip_adapter_images)}
        return {name: sha256_of(array) for name, array in arrays.items() if array is not None}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Origin) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash(tuple(self.to_json().items()))

    def check_latents(self, shape: tuple[int, ...]) -> None:
        """Raise ConfigError for latents that do not fit a sample's ``shape``, or have NaN or infinity."""
        if self.latents is not None:
            check_array("latents", self.latents, shape)

    def check_image(self, shape: Shape) -> None:
        """Raise ConfigError for an image or mask that does not fit ``shape``, (C, H, W), or has NaN or infinity."""
        if self.image is not None:
            check_array("image", self.image, shape)
        if self.mask is not None and self.mask.shape != (1, 1, *shape[1:]):
            raise ConfigError(f"the mask has the shape {self.mask.shape}, and the model needs (1, 1, {shape[1:]})")


def check_same_origin(wanted: Any, origin: Origin | None) -> None:
    """Raise ConfigError unless ``origin`` has the hashes ``wanted``, which a recipe stores."""
    if not isinstance(wanted, Mapping) or not all(isinstance(value, str) for value in wanted.values()):
        raise ConfigError(f"the recipe's origin must be an object of hashes, not {shown(wanted)}")
    found = origin.to_json() if origin else {}
    for name in sorted({*wanted, *found}):
        if name not in found:
            raise ConfigError(
                f"the images were made from {name[:LONGEST_SHOWN]}, of which a recipe holds only the hash: give it, too"
            )
        if name not in wanted:
            raise ConfigError(f"the images were not made from any {name}: leave it out")
        if wanted[name] != found[name]:
            raise ConfigError(f"the images were made from another {name}: its hash is {wanted[name][:12]}…")


def control_name(index: int) -> str:
    """The name of a control image in recipes and messages."""
    return numbered("control_image", index)


def ip_adapter_image_name(index: int) -> str:
    """The name of an IP-Adapter's image in recipes and messages."""
    return numbered("ip_adapter_image", index)


def check_array(name: str, array: Sample, shape: tuple[int, ...]) -> None:
    """Raise ConfigError for an array that is not of shape (N, *shape), or not finite."""
    if array.shape[1:] != shape or not len(array):
        raise ConfigError(f"{name} has the shape {array.shape}, and the model needs (N, {shape})")
    if not np.isfinite(array).all():
        raise ConfigError(f"{name} contains NaN or infinity")


def row_for_image(array: NDArray[np.float32], index: int) -> Sample:
    """Row ``index``, with its batch axis, of an array whose rows are used in turn."""
    position = index % len(array)
    return array[position : position + 1]


def sha256_of(array: NDArray[np.generic]) -> str:
    """The hash of an array: of its type, its shape and its values."""
    header = f"{array.dtype.str}{array.shape}".encode()
    return hashlib.sha256(header + np.ascontiguousarray(array).tobytes()).hexdigest()
