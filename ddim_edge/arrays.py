"""Array types, with their shapes and dtypes, that all rooms use."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
"""An array of any dtype: an input or output of a graph."""
Floats = NDArray[np.float64]
"""A column of a schedule's table, float64 (S,) or (T,)."""
Sample = NDArray[np.float32]
"""x_t, predictions and predicted x_0, float32 (B, …): (B, C, H, W) of images."""
Pixels = NDArray[np.uint8]
"""Finished images, uint8 (B, H, W, C), or one of them, (H, W, C)."""
Shape = tuple[int, int, int]
"""(C, H, W) of one image, or of its sample."""
Conditioning = Mapping[str, Array]
"""A UNet's inputs beside sample and timestep, for one image: by name, each with a batch axis of 1. Read-only."""
