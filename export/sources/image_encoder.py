"""The image encoder of IP-Adapters, as a component of a source."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ddim_edge.bundle.layout import IMAGE_ENCODER
from ddim_edge.config import read_json
from ddim_edge.errors import ConfigError

from ..config_keys import Config
from .diffusers_folder import Source, read_component
from .ip_adapter import check_fits, read_ip_adapter

_PREPROCESSOR = Path("feature_extractor") / "preprocessor_config.json"


def with_ip_adapters(
    source: Source, files: Sequence[Path], encoder: Path | None = None, *, allow_pickle: bool = False
) -> Source:
    """The same source with IP-Adapters and their image encoder.

    Without ``encoder``, that is the folder image_encoder of the source, or beside the first file, where diffusers looks
    for it. ConfigError for files and folders that are something else, or do not fit the UNet.
    """
    if not files:
        if encoder is not None:
            raise ConfigError("--ip-adapter-image-encoder needs an adapter: give its file by --ip-adapter")
        return source
    unet = next((part.config for part in source.components if part.kind == "UNet2DConditionModel"), None)
    if unet is None:
        raise ConfigError("--ip-adapter: no UNet with cross-attention is among the components to export")
    adapters = tuple(read_ip_adapter(file, allow_pickle=allow_pickle) for file in files)
    component = read_component(IMAGE_ENCODER.name, encoder or _usual_folder(source, files[0]))
    for adapter in adapters:
        check_fits(adapter, unet, component.config)
    return dataclasses.replace(
        source,
        components=(*source.components, component),
        graphs=(*source.graphs, IMAGE_ENCODER.name),
        index={**source.index, IMAGE_ENCODER.name: ["transformers", component.kind]},
        ip_adapters=adapters,
        image_encoder=component.config,
    )


def image_prompt_config(source: Source) -> dict[str, Any]:
    """What the bundle's image_encoder/config.json says besides diffusers' keys: the adapters, and the preprocessing."""
    adapters = [
        {"name": adapter.path.stem, "tokens": adapter.num_tokens(source.image_encoder), "width": adapter.width}
        for adapter in source.ip_adapters
    ]
    return {"ip_adapters": adapters, "preprocessor": _preprocessor(source)}


def _usual_folder(source: Source, file: Path) -> Path:
    places = [source.folder / IMAGE_ENCODER.name, file.parent / IMAGE_ENCODER.name]
    found = next((place for place in places if (place / "config.json").is_file()), None)
    if found is None:
        raise ConfigError(
            f"there is neither {places[0]} nor {places[1]}: give the folder of the adapter's image encoder by "
            "--ip-adapter-image-encoder"
        )
    return found


def _preprocessor(source: Source) -> Config:
    """That of the pipeline, where it has one; else what diffusers makes for the encoder."""
    path = source.folder / _PREPROCESSOR
    if path.parent.name in source.copied and path.is_file():
        return read_json(path)
    side = source.image_encoder.get("image_size") or 224
    return {"size": side, "crop_size": side}
