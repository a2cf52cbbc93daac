"""ControlNet config: read from the config.json of each ControlNet."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ..config import read_json
from .layout import CONFIG, CONTROLNET, component_named, graphs_of


@dataclass(frozen=True)
class ControlConfig:
    """The settings of one ControlNet.

    Attributes:
        name: the name of its folder: controlnet, controlnet_1, …
        channels: number of channels of its image.
        pooled: whether it returns one number per channel; as in diffusers, it then controls only the conditional rows.
    """

    name: str
    channels: int = 3
    pooled: bool = False

    @classmethod
    def read_all(cls, folder: Path) -> tuple[Self, ...]:
        """The configs of a bundle's ControlNets, in order; ConfigError for a config.json that cannot be read."""
        names = [graph.parent.name for graph in graphs_of(folder) if component_named(graph.parent.name) is CONTROLNET]
        return tuple(cls._read(name, read_json(folder / name / CONFIG)) for name in names)

    @classmethod
    def _read(cls, name: str, keys: Mapping[str, Any]) -> Self:
        return cls(name, int(keys.get("conditioning_channels", 3)), bool(keys.get("global_pool_conditions")))

    @property
    def image_key(self) -> str:
        """The name of its image, float32 (1, C, H, W) in [0, 1], in a conditioning."""
        return f"{self.name}.image"

    @property
    def scale_key(self) -> str:
        """The name of its strength, float32 (1,), in a conditioning."""
        return f"{self.name}.scale"
