"""The pictures that a row of a table names: that beside the sample, the one to change, those for additions."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..arrays import Sample, Shape
from ..bundle.bundle import Bundle
from ..generation.requests.control_images import ControlImage
from ..generation.requests.ip_adapters import PromptImage
from ..generation.requests.origin import Origin
from ..generation.requests.picture import Picture, picture_shape, sides_of
from ..images.decode import check_mask_size, read_mask, read_picture
from ..images.open_picture import open_picture

PICTURES = ("images", "init_image", "mask", "control_images", "ip_adapter_images")
"""The columns with paths of pictures."""


class RowPictures:
    """Reads the pictures of rows. Their paths are relative to ``folder``, that of the table.

    With ``heads`` only the heads of the files are read, which is fast: the pictures are black, of the right shapes.
    """

    def __init__(self, bundle: Bundle, folder: Path, *, heads: bool) -> None:
        self._bundle, self._folder, self._heads = bundle, folder, heads

    def options(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The row's options with pictures for their paths. ConfigError for one that cannot be read."""
        options = {name: value for name, value in row.items() if name not in PICTURES}
        if len(options) == len(row):
            return options
        shape = self._bundle.image_shape(row.get("height"), row.get("width"))
        if "images" in row:
            options["images"] = self._picture(self._folder / row["images"], row)
        if "control_images" in row:
            options["control_images"] = self._controls(row["control_images"], shape)
        if "ip_adapter_images" in row:
            options["ip_adapter_images"] = self._prompts(row["ip_adapter_images"])
        image = self._image(self._folder / row["init_image"], shape) if "init_image" in row else None
        mask = self._mask(self._folder / row["mask"], shape) if "mask" in row else None
        return {**options, "origin": Origin(image=image, mask=mask)}

    def _image(self, path: Path, shape: Shape) -> Sample:
        return _black(path, shape) if self._heads else read_picture(path, shape)

    def _picture(self, path: Path, row: Mapping[str, Any]) -> Picture:
        if not self._heads:
            return path
        sides = sides_of(self._bundle, path, row.get("height"), row.get("width"))
        sample = _black(path, picture_shape(self._bundle, *sides))
        sample[..., 0] = 1  # a depth map must not be the same everywhere
        return sample

    def _mask(self, path: Path, shape: Shape) -> Any:
        if not self._heads:
            return read_mask(path, shape)
        with open_picture(path) as picture:
            check_mask_size(picture, path, shape)
        return np.zeros((1, 1, *shape[1:]), np.bool_)

    def _controls(self, names: Sequence[str], shape: Shape) -> Sequence[ControlImage]:
        paths, controls = [self._folder / name for name in names], self._bundle.controls
        if not self._heads or len(paths) != len(controls):  # a wrong number is an error of the request
            return paths
        return [_black(path, (each.channels, *shape[1:])) for path, each in zip(paths, controls, strict=True)]

    def _prompts(self, names: Sequence[str]) -> Sequence[PromptImage]:
        paths, side = [self._folder / name for name in names], self._bundle.image_prompts.side
        return [_black(path, (3, side, side)) for path in paths] if self._heads else paths


def _black(path: Path, shape: Shape) -> Sample:
    with open_picture(path):
        return np.zeros((1, *shape), np.float32)
