"""What a UNet is fed, read from its config.json: names, shapes, types and ranges of the inputs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ddim_edge.errors import ConfigError

Arrays = dict[str, NDArray[Any]]
Size = tuple[int, int]

_SMALLEST = 8
_LARGEST = 64


@dataclass(frozen=True, kw_only=True)
class Signature:
    """The inputs of a UNet: ``sample`` float32 (B, C, H, W), ``timestep`` int64 (B,), perhaps ``class_labels``.

    ``class_labels`` is int64 (B,) with ``num_classes``, or float32 (B, D) with ``label_width`` where the network
    takes ready-made embeddings.
    """

    in_channels: int
    sizes: tuple[Size, Size]
    """Two image sizes (height, width) that the network accepts; the second is not square."""
    first_timestep: int = 0
    num_timesteps: int = 1000
    num_classes: int | None = None
    label_width: int | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The inputs in their order."""
        has_labels = self.num_classes is not None or self.label_width is not None
        return ("sample", "timestep", *(("class_labels",) if has_labels else ()))

    def draw(self, batch: int, size: Size, seed: int) -> Arrays:
        """Random inputs by name: each row has its own timestep and its own class, as far as there are enough."""
        random = np.random.default_rng(seed)
        inputs: Arrays = {
            "sample": random.standard_normal((batch, self.in_channels, *size), dtype=np.float32),
            "timestep": _distinct(random, self.first_timestep, self.num_timesteps, batch),
        }
        if self.num_classes is not None:
            inputs["class_labels"] = _distinct(random, 0, self.num_classes, batch)
        if self.label_width is not None:
            inputs["class_labels"] = random.standard_normal((batch, self.label_width), dtype=np.float32)
        return inputs


def read_signature(config: Mapping[str, Any]) -> Signature:
    """Read the keys of a diffusers ``unet/config.json``. ConfigError names the key that cannot be honoured."""
    class_embed_type = config.get("class_embed_type")
    if class_embed_type not in (None, "timestep", "identity"):
        raise ConfigError(
            f"class_embed_type {class_embed_type!r} is not supported: a UNet2DModel has null, 'timestep' or 'identity'"
        )
    fourier = config.get("time_embedding_type") == "fourier"
    num_timesteps = _count(config, "num_train_timesteps", default=1000)
    return Signature(
        in_channels=_count(config, "in_channels"),
        sizes=_sizes(config),
        # Fourier features are of log(t), and the output is divided by t.
        first_timestep=1 if fourier else 0,
        num_timesteps=num_timesteps,
        num_classes=_num_classes(config, num_timesteps),
        label_width=_embedding_width(config) if class_embed_type == "identity" else None,
    )


def _num_classes(config: Mapping[str, Any], num_timesteps: int) -> int | None:
    """How many values a label has; ``timestep`` embeds labels as if they were timesteps, ``identity`` has none."""
    if config.get("class_embed_type") == "timestep":
        return num_timesteps
    if config.get("class_embed_type") == "identity" or config.get("num_class_embeds") is None:
        return None
    return _count(config, "num_class_embeds")


def _embedding_width(config: Mapping[str, Any]) -> int:
    if config.get("time_embedding_dim"):
        return _count(config, "time_embedding_dim")
    return 4 * _levels(config)[0]


def _sizes(config: Mapping[str, Any]) -> tuple[Size, Size]:
    """The image size that the network is for, within limits, and a small one that is not square.

    Each level but the first halves the image, so height and width are multiples of 2^(levels-1).
    """
    native = config.get("sample_size") or _SMALLEST
    height, width = native if isinstance(native, (list, tuple)) else (native, native)
    if not all(isinstance(side, int) and side > 0 for side in (height, width)):
        raise ConfigError(f"sample_size must be a positive whole number or a pair of them, not {native!r}")
    if not config.get("block_out_channels"):
        return _sizes_without_levels(config, height, width)
    unit = 2 ** (len(_levels(config)) - 1)
    small = max(_round_up(_SMALLEST, unit), 2 * unit)
    limit = max(_round_up(_LARGEST, unit), 2 * unit)
    full = (min(_round_up(height, unit), limit), min(_round_up(width, unit), limit))
    other = (small, small + unit)
    return full, other if other != full else other[::-1]


def _sizes_without_levels(config: Mapping[str, Any], height: int, width: int) -> tuple[Size, Size]:
    if not config.get("sample_size"):
        raise ConfigError("the config has neither block_out_channels nor sample_size: give one, to know valid sizes")
    return (height, width), (height, 2 * width)


def _levels(config: Mapping[str, Any]) -> list[int]:
    levels = config.get("block_out_channels")
    if not isinstance(levels, (list, tuple)) or not levels or not all(isinstance(width, int) for width in levels):
        raise ConfigError(f"block_out_channels must be a list of whole numbers, not {levels!r}")
    return list(levels)


def _count(config: Mapping[str, Any], key: str, default: int | None = None) -> int:
    value = config.get(key)
    value = default if value is None else value
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigError(f"{key} must be a whole number of at least 1, not {value!r}")
    return value


def _round_up(value: int, unit: int) -> int:
    return -(-value // unit) * unit


def _distinct(random: np.random.Generator, low: int, high: int, count: int) -> NDArray[np.int64]:
    """``count`` whole numbers in [low, high), no two the same where there are as many."""
    return random.choice(np.arange(low, high), count, replace=count > high - low)
