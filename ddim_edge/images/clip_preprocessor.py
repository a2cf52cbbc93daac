"""Prepares pictures for CLIP's image encoder: resizes, crops the centre, normalises.

Equal to transformers' CLIPImageProcessor with Pillow: each step rounds as it does there, the last ones in float32.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from PIL import Image

from ..arrays import Pixels, Sample
from .encode import to_pillow

_MEAN = (0.48145466, 0.4578275, 0.40821073)
_DEVIATION = (0.26862954, 0.26130258, 0.27577711)
_SIDE = 224


@dataclass(frozen=True)
class ClipPreprocessor:
    """The settings of the preprocessing; call it with a picture.

    Attributes:
        size: length of the shortest side in pixels, or height and width; None does not resize.
        crop: height and width of the centre crop, padded with black where that is larger; None does not crop.
        resample: Pillow's filter.
        factor: the pixels, 0 to 255, are multiplied by it.
        mean, deviation: one per channel; subtracted, then divided by.
    """

    size: int | tuple[int, int] | None = _SIDE
    crop: tuple[int, int] | None = (_SIDE, _SIDE)
    resample: Image.Resampling = Image.Resampling.BICUBIC
    factor: float = 1 / 255
    mean: tuple[float, ...] = _MEAN
    deviation: tuple[float, ...] = _DEVIATION

    @classmethod
    def from_json(cls, keys: Mapping[str, Any]) -> Self:
        """From the keys of a preprocessor_config.json. Raises KeyError, TypeError or ValueError for invalid ones."""
        size, normalised = keys.get("size", _SIDE), keys.get("do_normalize", True)
        if isinstance(size, Mapping):
            size = size["shortest_edge"] if "shortest_edge" in size else _sides(size)
        return cls(
            size=size if keys.get("do_resize", True) else None,
            crop=_sides(keys.get("crop_size", _SIDE)) if keys.get("do_center_crop", True) else None,
            resample=Image.Resampling(keys.get("resample", Image.Resampling.BICUBIC)),
            factor=float(keys.get("rescale_factor", 1 / 255)) if keys.get("do_rescale", True) else 1.0,
            mean=_channels(keys.get("image_mean", _MEAN)) if normalised else (0.0,) * 3,
            deviation=_channels(keys.get("image_std", _DEVIATION)) if normalised else (1.0,) * 3,
        )

    @property
    def fitting(self) -> list[Any]:
        """Size, crop and filter, as JSON values, of which ``from_fitting`` makes one that fits pictures alike."""
        return [self.size, self.crop, int(self.resample)]

    @classmethod
    def from_fitting(cls, fitting: Sequence[Any]) -> Self:
        """One that fits pictures as that of these values does."""
        size, crop, resample = fitting
        size, crop = (tuple(value) if isinstance(value, Sequence) else value for value in (size, crop))
        return cls(size=size, crop=crop, resample=Image.Resampling(resample))

    def __call__(self, image: Pixels) -> Sample:
        """Prepare one picture: uint8 (H, W, C) to float32 (1, 3, height, width)."""
        return self.normalized(self.fitted(to_pillow(image).convert("RGB")))

    def fitted(self, picture: Image.Image) -> Pixels:
        """An RGB picture resized and cropped: uint8 (height, width, 3)."""
        return np.asarray(self._cropped(self._resized(picture)))

    def normalized(self, pixels: Pixels) -> Sample:
        """What ``fitted`` returned, scaled and normalized: float32 (1, 3, height, width)."""
        scaled = (pixels.astype(np.float64) * self.factor).astype(np.float32)
        mean, deviation = (np.array(values, np.float32) for values in (self.mean, self.deviation))
        return ((scaled - mean) / deviation).transpose(2, 0, 1)[np.newaxis]

    def _resized(self, picture: Image.Image) -> Image.Image:
        if self.size is None:
            return picture
        if isinstance(self.size, int):
            shortest = min(picture.size)
            width, height = (int(self.size * side / shortest) for side in picture.size)
        else:
            height, width = self.size
        return picture.resize((width, height), self.resample)

    def _cropped(self, picture: Image.Image) -> Image.Image:
        if self.crop is None:
            return picture
        top, left = (picture.height - self.crop[0]) // 2, (picture.width - self.crop[1]) // 2
        return picture.crop((left, top, left + self.crop[1], top + self.crop[0]))


def _sides(value: int | Mapping[str, int]) -> tuple[int, int]:
    """Height and width. Old files have one number for both."""
    return (int(value["height"]), int(value["width"])) if isinstance(value, Mapping) else (int(value), int(value))


def _channels(values: Sequence[float]) -> tuple[float, ...]:
    if len(values) != 3:
        raise ValueError(f"image_mean and image_std must be 3 numbers each, not {values!r}")
    return tuple(map(float, values))
