"""What a UNet takes behind the sample's channels, for its config.json in the bundle."""

from typing import Any

import torch

from ddim_edge.bundle.conditioning_channels import KEY, are_in_front, conditioning_channels
from ddim_edge.bundle.vae_config import VaeConfig
from ddim_edge.errors import BundleError

from .config_keys import Config
from .sources.diffusers_folder import Source


def channel_keys(unet: Config, source: Source) -> dict[str, Any]:
    """The key of unet/config.json that says what the further channels are; empty for a UNet without such."""
    try:
        vae = None if source.autoencoder is None else VaeConfig.from_json(source.autoencoder)
        found = conditioning_channels(unet, source.index, vae)
    except (BundleError, KeyError, TypeError, ValueError):
        return {}  # what does not fit is refused when the draft of the bundle is opened
    return {KEY: [part.to_json() for part in found]} if found else {}


def put_behind(module: torch.nn.Module, source: Source) -> None:
    """Reorder the weights of the first convolution of a UNet that takes the picture's channels before the sample's."""
    if are_in_front(source.index):
        weight = module.get_submodule("conv_in").get_parameter("weight")
        picture = weight.shape[1] - int(module.get_submodule("conv_out").get_parameter("weight").shape[0])
        weight.data = torch.cat([weight.data[:, picture:], weight.data[:, :picture]], dim=1)
