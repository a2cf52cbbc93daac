"""SDXL's micro-conditioning: original size, crop and target size as inputs of the UNet.

Podell et al. 2023 (https://arxiv.org/abs/2307.01952), section 2.2.
"""

from dataclasses import dataclass

import numpy as np

from ..arrays import Array
from ..config import whole_number
from ..errors import ConfigError, shown

Size = tuple[int, int]
"""Height and width in pixels."""

GOOD_SCORE, BAD_SCORE = 6.0, 2.5
"""The refiner's aesthetic scores for the prompt and for the negative prompt, as in diffusers."""


@dataclass(frozen=True, kw_only=True)
class SizeHints:
    """Sizes in pixels, height first.

    Attributes:
        target: size of the image.
        original: size of the imagined picture that the image was scaled from; None for ``target``.
        crop: how much of it was cut off at the top and at the left.
    """

    target: Size
    original: Size | None = None
    crop: Size = (0, 0)

    def __post_init__(self) -> None:
        for name, size, low in (("target", self.target, 1), ("original", self.original, 1), ("crop", self.crop, 0)):
            if size is not None:
                _check(name, size, low)

    def time_ids(self, score: float | None = None) -> Array:
        """Float32 (1, 6): original, crop, target. With an aesthetic score (1, 5): the score in place of the target."""
        last = self.target if score is None else (score,)
        return np.array([[*(self.original or self.target), *self.crop, *last]], np.float32)


def _check(name: str, size: object, low: int) -> None:
    if not isinstance(size, tuple) or len(size) != 2:
        raise ConfigError(f"the size hint {name} must be a height and a width in pixels, not {shown(size)}")
    for side in size:
        whole_number(f"the size hint {name}", side, low=low)
