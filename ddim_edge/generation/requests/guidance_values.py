"""Checks of the numbers of guidance, which are the same for every model."""

from typing import get_args

from ...diffusion.guidance import GuidanceMode
from ...errors import ConfigError, choose_from
from .numbers import at_least_0


def check_mode(mode: str, scale: float) -> None:
    """Raise ConfigError for an unknown guidance_mode, and for a scale that it does not take."""
    if mode not in get_args(GuidanceMode):
        raise ConfigError(choose_from("guidance_mode", mode, get_args(GuidanceMode)))
    if mode == "cfg++" and scale > 1:
        raise ConfigError(
            f"guidance_mode cfg++ takes a guidance_scale from 0 to 1, not {scale:g}: 0.6 is about what 7.5 is without "
            "it"
        )


def check_image_scale(scale: float | None) -> None:
    """Raise ConfigError for an image_guidance_scale below 1, with which diffusers, too, does not guide."""
    if scale is None:
        return
    at_least_0("image_guidance_scale", scale, high=1e6)
    if scale < 1:
        raise ConfigError(f"image_guidance_scale must be at least 1, which is off, not {scale:g}")
