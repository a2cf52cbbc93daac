"""Image prompts: what a bundle with IP-Adapters says of them in the config.json of its image encoder."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from ..config import read_json
from ..errors import BundleError, ConfigError, shortened
from ..images.clip_preprocessor import ClipPreprocessor
from .layout import CONFIG, IMAGE_ENCODER, IMAGE_SCALE, IMAGE_TOKENS, NO_IMAGE_TOKENS, numbered


@dataclass(frozen=True)
class IpAdapterConfig:
    """One adapter: its name, its position, and how many tokens of what width it makes of an image."""

    name: str
    index: int
    tokens: int
    width: int

    @property
    def tokens_key(self) -> str:
        """The name of its tokens, float32 (1, tokens, width), in a conditioning, and as an input and output."""
        return numbered(IMAGE_TOKENS, self.index)

    @property
    def negative_key(self) -> str:
        """The name of the image encoder's output that is for the unconditional prediction."""
        return numbered(NO_IMAGE_TOKENS, self.index)

    @property
    def scale_key(self) -> str:
        """The name of its scale, float32 (1,), in a conditioning, and as an input."""
        return numbered(IMAGE_SCALE, self.index)


@dataclass(frozen=True)
class ImagePrompts:
    """The IP-Adapters of a bundle, in order, and how their encoder wants a picture: (3, side, side)."""

    adapters: tuple[IpAdapterConfig, ...] = ()
    preprocessor: ClipPreprocessor = field(default_factory=ClipPreprocessor)
    side: int = 0

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read a bundle's image_encoder/config.json; no adapters without it. BundleError for a broken one."""
        path = folder / IMAGE_ENCODER.name / CONFIG
        if not IMAGE_ENCODER.is_in(folder):
            return cls()
        try:
            return cls._from_json(read_json(path))
        except (ConfigError, KeyError, TypeError, ValueError) as error:
            raise BundleError(
                f"{path} does not describe the bundle's IP-Adapters ({shortened(str(error))}): export it again"
            ) from None

    @classmethod
    def _from_json(cls, keys: Mapping[str, Any]) -> Self:
        if keys.get("ip_adapters") is None:  # an encoder that another exporter wrote, for something else
            return cls()
        adapters = (
            IpAdapterConfig(str(entry["name"]), index, int(entry["tokens"]), int(entry["width"]))
            for index, entry in enumerate(keys["ip_adapters"])
        )
        preprocessor, side = ClipPreprocessor.from_json(dict(keys["preprocessor"])), keys["image_size"]
        if (preprocessor.crop or preprocessor.size) != (side, side):
            raise ValueError(f"its preprocessor does not make pictures of {side}x{side}")
        return cls(tuple(adapters), preprocessor, side)

    @property
    def input_names(self) -> set[str]:
        """The UNet's inputs of all adapters."""
        return {name for adapter in self.adapters for name in (adapter.tokens_key, adapter.scale_key)}
