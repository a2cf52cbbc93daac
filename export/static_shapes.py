"""Fixes the free axes of a bundle's graphs to one batch and one image size."""

from ddim_edge.bundle.layout import DENOISER_NAMES, T5_TOKENS, TRANSFORMER
from ddim_edge.errors import ConfigError

from .config_keys import count
from .networks.autoencoder import pixels_per_latent
from .networks.signature import Signature, Sizes
from .options import Static
from .sources.diffusers_folder import Component, Source

_TOKENS = 77


def fix_sizes(signature: Signature, component: Component, source: Source, static: Static) -> Signature:
    """A component's signature at one batch and image size. ConfigError where the networks do not take that size."""
    unit = _size_multiple(source)
    if static.height % unit or static.width % unit:
        nearest = " and ".join(f"{max(round(side / unit), 1) * unit}" for side in (static.height, static.width))
        raise ConfigError(
            f"static {static}: height and width must be multiples of {unit} for this model; the nearest are {nearest}"
        )
    # The image encoder and the safety checker take pixels; the others take latents, if there is an autoencoder.
    side = 1 if component.name in ("vae_encoder", "safety_checker") else _pixels_per_latent(source)
    joint = T5_TOKENS if component.kind == "SD3Transformer2DModel" else 0
    lengths = {
        "height": static.height // side,
        "width": static.width // side,
        "sequence": _tokens(source) + joint,
    }
    # The runtime encodes or decodes one prompt or image at a time.
    samples = component.kind == "ControlNetModel" or component.name in DENOISER_NAMES
    if samples:
        _check_own_size(signature, lengths, static, side)
    return signature.fixed(static.batch if samples else 1, lengths)


def _check_own_size(signature: Signature, lengths: Sizes, static: Static, side: int) -> None:
    """ConfigError where a network takes samples of its own size alone, and ``static`` is another."""
    own = [axis * side for axis in signature.inputs[0].axes[2:] if isinstance(axis, int)]
    if own and own != [lengths["height"] * side, lengths["width"] * side]:
        raise ConfigError(f"static {static}: the network takes images of {own[0]}x{own[1]} alone: give that size")


def _size_multiple(source: Source) -> int:
    levels = [
        len(component.config["block_out_channels"])
        for component in source.components
        if component.kind == "UNet2DModel" and component.config.get("block_out_channels")
    ]
    transformers = [component.config for component in source.components if component.name == TRANSFORMER.name]
    patches = [count(config, "patch_size", default=2) for config in transformers]
    return _pixels_per_latent(source) * int(2 ** (max(levels, default=1) - 1)) * max(patches, default=1)


def _pixels_per_latent(source: Source) -> int:
    """Image pixels per value of the UNet's sample along each side; 1 without an autoencoder."""
    return 1 if source.autoencoder is None else pixels_per_latent(source.autoencoder)


def _tokens(source: Source) -> int:
    configs = [component.config for component in source.components if component.kind.startswith("CLIPText")]
    return int(next((config["max_position_embeddings"] for config in configs), _TOKENS))
