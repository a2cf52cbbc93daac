"""Gaussian noise from a seed: one stream per image.

``torch`` draws what ``torch.Generator("cpu").manual_seed(seed)`` and ``torch.randn`` draw, so that a seed gives the
same image as in diffusers; ``numpy`` draws from Philox, NumPy's counter-based generator.

How torch does it (ATen's CPU kernels): MT19937 seeded with 32 bits. A tensor of 16 values or more takes one 24-bit
uniform per value, then Box-Muller turns each block of 16 into normals, 8 radii and 8 angles; if the size is no multiple
of 16, the last 16 values are drawn again. A smaller tensor takes normals one by one, made in pairs from 53-bit
uniforms; the second of a pair is kept for the next value.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, choose_from, shown

NoiseKind = Literal["torch", "numpy"]
Draw = Callable[[tuple[int, ...]], NDArray[np.float32]]

_BLOCK = 16
_MAX_SEED = 2**63 - 1


def noise_stream(seed: int, kind: NoiseKind = "torch") -> Draw:
    """Return the stream of ``seed``: a function from a shape to float32 normals. Each call continues the stream.

    Raises ConfigError for a seed outside [0, 2**63) and for an unknown kind.
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed <= _MAX_SEED:
        raise ConfigError(f"the seed must be a whole number from 0 to {_MAX_SEED}, not {shown(seed)}")
    if kind == "torch":
        return TorchStream(int(seed)).draw
    if kind == "numpy":
        generator = np.random.Generator(np.random.Philox(int(seed)))
        return lambda shape: generator.standard_normal(shape, np.float32)
    raise ConfigError(choose_from("noise", kind, get_args(NoiseKind)))


class TorchStream:
    """Draws the normals of torch's CPU generator, in torch's order."""

    def __init__(self, seed: int) -> None:
        self._engine = np.random.MT19937(_no_seed())
        self._engine._legacy_seeding(seed & 0xFFFFFFFF)  # torch, too, seeds with the low 32 bits
        self._spare: float | None = None

    def draw(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Return what ``torch.randn(shape)`` returns next."""
        size = math.prod(shape)
        values = self._blocks(size) if size >= _BLOCK else self._one_by_one(size)
        return values.reshape(shape)

    def _blocks(self, size: int) -> NDArray[np.float32]:
        uniforms = self._uniforms(size)
        whole = size - size % _BLOCK
        values = np.empty(size, np.float32)
        values[:whole] = _box_muller(uniforms[:whole])
        if whole < size:
            values[-_BLOCK:] = _box_muller(self._uniforms(_BLOCK))
        return values

    def _uniforms(self, size: int) -> NDArray[np.float32]:
        words = self._engine.random_raw(size)
        return (words & 0xFFFFFF).astype(np.float32) * np.float32(2**-24)

    def _one_by_one(self, size: int) -> NDArray[np.float32]:
        return np.array([self._normal() for _ in range(size)], np.float32)

    def _normal(self) -> float:
        if self._spare is not None:
            value, self._spare = self._spare, None
            return value
        angle = 2 * math.pi * self._uniform53()
        radius = math.sqrt(-2 * math.log1p(-self._uniform53()))
        self._spare = radius * math.sin(angle)
        return radius * math.cos(angle)

    def _uniform53(self) -> float:
        high, low = self._engine.random_raw(2).tolist()
        return float(((high << 32) | low) & (2**53 - 1)) * 2.0**-53


class _NoSeed:
    """Stands in for a seed sequence. Hashing a real one takes 0.2 ms, and torch seeds the engine in its own way."""

    def generate_state(self, words: int, _dtype: object = np.uint32) -> list[int]:
        return [0] * words


@functools.cache
def _no_seed() -> Any:
    np.random.bit_generator.ISeedSequence.register(_NoSeed)
    return _NoSeed()


def _box_muller(uniforms: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turn blocks of 16 uniforms in [0, 1) into normals: the first 8 give the radii, the last 8 the angles."""
    radius_part, angle_part = uniforms.reshape(-1, 2, _BLOCK // 2).swapaxes(0, 1)
    radii = np.sqrt(np.float32(-2) * np.log(np.float32(1) - radius_part))
    angles = np.float32(2 * math.pi) * angle_part
    normals = np.stack((radii * np.cos(angles), radii * np.sin(angles)), axis=1)
    return normals.reshape(-1)
