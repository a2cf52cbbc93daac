"""Quantities: what a model's decoded pictures measure, as numbers, and the pictures that are shown of them.

As in Marigold (Ke et al. 2024, https://arxiv.org/abs/2312.02145).
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from ..arrays import Pixels, Sample

_SPECTRAL = (
    (158, 1, 66),
    (213, 62, 79),
    (244, 109, 67),
    (253, 174, 97),
    (254, 224, 139),
    (255, 255, 191),
    (230, 245, 152),
    (171, 221, 164),
    (102, 194, 165),
    (50, 136, 189),
    (94, 79, 162),
)
"""ColorBrewer's Spectral: the colours of 0, 0.1 … 1."""
_SHORTEST = np.float32(1e-6)


class Measured(NamedTuple):
    """The numbers, float32 (B, C, H, W), and the pictures that are shown of them, uint8 (B, H, W, 3)."""

    values: Sample
    pixels: Pixels


def _depth(decoded: Sample) -> Measured:
    """The mean of the channels, from 0 (near) to 1 (far): (B, 1, H, W)."""
    values = (np.clip(decoded.mean(axis=1, keepdims=True), -1, 1) + np.float32(1)) / np.float32(2)
    places, colours = np.linspace(0, 1, len(_SPECTRAL)), np.array(_SPECTRAL, np.float64).T
    planes = [np.interp(values[:, 0], places, colour) for colour in colours]
    return Measured(values, np.stack(planes, axis=-1).astype(np.uint8))


def _normals(decoded: Sample) -> Measured:
    """Unit vectors (x, y, z) along the channels: (B, 3, H, W)."""
    clipped = np.clip(decoded, -1, 1)
    values = clipped / np.maximum(np.linalg.norm(clipped, axis=1, keepdims=True), _SHORTEST)
    pixels = (values + np.float32(1)) * np.float32(127.5)
    return Measured(values, pixels.transpose(0, 2, 3, 1).astype(np.uint8))


def _front_normals(decoded: Sample) -> Measured:
    """Unit vectors whose z, which the channel holds in [-1, 1], is in [0, 1]."""
    halved = np.clip(decoded, -1, 1)
    halved[:, 2] = halved[:, 2] * np.float32(0.5) + np.float32(0.5)
    return _normals(halved)


QUANTITIES: Mapping[str, Callable[[Sample], Measured]] = {
    "depth": _depth,
    "normals": _normals,
    "front_normals": _front_normals,
}
"""What makes the numbers and their pictures of decoded pictures in [-1, 1], float32 (B, 3, H, W), by the quantity."""
