"""Checks of the numbers of guidance, which are the same for every model."""

from numbers import Real
from typing import cast, get_args

from ...diffusion.guidance import GuidanceMode
from ...errors import ConfigError, choose_from, shown


def check_mode(mode: str, scale: float) -> None:
    """Raise ConfigError for an unknown guidance_mode, and for a scale that it does not take."""
    if mode not in get_args(GuidanceMode):
        raise ConfigError(choose_from("guidance_mode", mode, get_args(GuidanceMode)))
    if mode == "cfg++" and scale > 1:
        raise ConfigError(
            f"guidance_mode cfg++ takes a guidance_scale from 0 to 1, not {scale:g}: 0.6 is about what 7.5 is without "
            "it"
        )


def check_interval(interval: object) -> None:
    """Raise ConfigError for a guidance_interval that is neither None nor a lower and a higher noise level."""
    if interval is None:
        return
    if not isinstance(interval, tuple) or len(interval) != 2:
        raise ConfigError(f"guidance_interval must be two noise levels, not {shown(interval)}")
    low, high = interval
    check_number("guidance_interval's lower level", low)
    check_number("guidance_interval's upper level", high)
    if low >= high:
        raise ConfigError(f"guidance_interval must go from a lower to a higher level, not from {low:g} to {high:g}")


def check_image_scale(scale: float | None) -> None:
    """Raise ConfigError for an image_guidance_scale below 1, with which diffusers, too, does not guide."""
    if scale is None:
        return
    check_number("image_guidance_scale", scale, high=1e6)
    if scale < 1:
        raise ConfigError(f"image_guidance_scale must be at least 1, which is off, not {scale:g}")


def check_number(name: str, value: object, high: float = 1e9) -> None:
    """Raise ConfigError for what is no number from 0 to ``high``."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= cast(float, value) <= high:
        limits = "of at least 0" if high > 1 else "from 0 to 1"
        raise ConfigError(f"{name} must be a number {limits}, not {shown(value)}")
