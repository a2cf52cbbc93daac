"""Tiles: whether the autoencoder works in tiles, for images that are large."""

from ...bundle.bundle import Bundle
from ...errors import ConfigError
from .request import Request

MAX_UNTILED_PIXELS = 1024 * 1024
"""The largest image that is by default decoded without tiles."""


def uses_tiles(bundle: Bundle, request: Request, wanted: bool | None) -> bool:
    """Whether the autoencoder works in tiles: only for images larger than one tile."""
    if bundle.vae is None:
        if wanted:
            raise _no_autoencoder(bundle)
        return False
    _, height, width = bundle.image_shape(request.height, request.width)
    if wanted is None:
        wanted = height * width > MAX_UNTILED_PIXELS
    return bool(wanted) and max(height, width) > bundle.vae.tile


def _no_autoencoder(bundle: Bundle) -> ConfigError:
    return ConfigError(
        f"{bundle.name} has no autoencoder that could work in tiles: leave vae_tiling (--vae-tiling) out"
    )


def check_tiles(bundle: Bundle, request: Request) -> None:
    """Raise ConfigError for tiles that the model's autoencoder does not take."""
    if request.vae_tiling and bundle.vae is None:
        raise _no_autoencoder(bundle)
    if request.vae_tile is not None and bundle.vae is not None and request.vae_tile % (4 * bundle.vae.factor):
        raise ConfigError(f"vae_tile must be a multiple of {4 * bundle.vae.factor}, not {request.vae_tile}")
