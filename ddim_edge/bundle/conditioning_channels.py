"""Conditioning channels: those that a UNet takes behind the sample's, and what they are made from."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Self, get_args

from ..errors import BundleError, shown
from .vae_config import VaeConfig

KEY = "conditioning_channels"
"""The key of unet/config.json. It is this project's; diffusers has no such key."""
Source = Literal["latents", "masked_latents", "mask", "pixels", "depth"]


@dataclass(frozen=True)
class ConditioningChannels:
    """Some channels, all of the sample's height and width.

    Attributes:
        name: what they are, for messages.
        channels: their number.
        source: ``latents`` of a picture, which are the mean where the encoder is variational; ``masked_latents`` of the
            initial image with the part to repaint blanked; the ``mask`` itself, 1 where to repaint; a small picture's
            ``pixels`` in [-1, 1]; or a ``depth`` map, stretched to [-1, 1].
        scaled: whether latents have the scale and shift of those that are sampled; else they are as encoded.
        noised: whether noise is added to them, as much as the network is told by its class label.
        guided: whether the network was also trained without them, as zeros: then the picture has a guidance scale.
    """

    name: str
    channels: int
    source: Source
    scaled: bool = True
    noised: bool = False
    guided: bool = False

    @classmethod
    def from_json(cls, keys: Mapping[str, Any]) -> Self:
        """Read one entry of the key, whose types are checked. BundleError for one that makes no sense."""
        source: Any = keys.get("source")
        if source not in get_args(Source) or not keys.get("channels"):
            raise BundleError(
                f"{KEY} must be a list of objects with channels and a source of {', '.join(get_args(Source))}, not "
                f"{shown(dict(keys))}: export the model again"
            )
        name = keys.get("name") or source
        flags = {flag: keys[flag] for flag in ("scaled", "noised", "guided") if keys.get(flag) is not None}
        return cls(name, keys["channels"], source, **flags)

    def to_json(self) -> dict[str, Any]:
        """The entry that ``from_json`` reads."""
        return asdict(self)


_REST = 0
"""In place of the number of channels: all that are not the sample's."""
_EDITED = ConditioningChannels("image", _REST, "latents", scaled=False, guided=True)
_MEASURED = ConditioningChannels("image", _REST, "latents")
_OF_PIPELINES: Mapping[str, ConditioningChannels] = {
    "StableDiffusionInstructPix2PixPipeline": _EDITED,
    "StableDiffusionXLInstructPix2PixPipeline": _EDITED,
    "StableDiffusionUpscalePipeline": ConditioningChannels("small image", _REST, "pixels", noised=True),
    "LDMSuperResolutionPipeline": ConditioningChannels("small image", _REST, "pixels"),
    "StableDiffusionDepth2ImgPipeline": ConditioningChannels("depth map", _REST, "depth"),
    "MarigoldDepthPipeline": _MEASURED,
    "MarigoldNormalsPipeline": _MEASURED,
}
"""What the further channels are in diffusers' pipelines."""
_IN_FRONT = ("MarigoldDepthPipeline", "MarigoldNormalsPipeline")
"""Pipelines whose UNets take them before the sample's: the export puts them behind."""


def conditioning_channels(
    config: Mapping[str, Any], index: Mapping[str, Any], vae: VaeConfig | None
) -> tuple[ConditioningChannels, ...]:
    """Those of a UNet with this config.json: what the key says, else what the class of the pipeline means.

    ``index``: model_index.json. BundleError where the sum of all channels is not what the UNet takes.
    """
    given, taken = config.get(KEY), config.get("in_channels")
    if given is None and vae is None:
        return ()
    found = tuple(map(ConditioningChannels.from_json, given)) if given is not None else _derived(index, taken, vae)
    own = None if vae is None else vae.channels
    if vae is not None and taken != vae.channels + sum(part.channels for part in found):
        raise BundleError(
            f"the unet takes {taken} channels, and the autoencoder's latents have {own}: it must take as many, "
            f"{2 * vae.channels + 1} for inpainting, or what {KEY} in unet/config.json says"
        )
    return found


def are_in_front(index: Mapping[str, Any]) -> bool:
    """Whether the UNet of a pipeline that diffusers saved takes them before the sample's channels."""
    return index.get("_class_name") in _IN_FRONT


def _derived(index: Mapping[str, Any], taken: Any, vae: VaeConfig | None) -> tuple[ConditioningChannels, ...]:
    """What the class of the pipeline, or the number of channels, means."""
    if vae is None or not isinstance(taken, int) or taken <= vae.channels:
        return ()
    name = index.get("_class_name")
    if isinstance(name, str) and name in _OF_PIPELINES:
        scaled = bool(index.get("is_cosxl_edit")) or _OF_PIPELINES[name].scaled
        return (replace(_OF_PIPELINES[name], channels=taken - vae.channels, scaled=scaled),)
    if taken != 2 * vae.channels + 1:
        return ()
    return (
        ConditioningChannels("mask", 1, "mask"),
        ConditioningChannels("masked_image", vae.channels, "masked_latents"),
    )
