"""The scale of a LoRA behind its name: ``style:0.8``."""

from ..errors import ConfigError, shown

LARGEST_SCALE = 1000.0


def name_and_scale(argument: str) -> tuple[str, float]:
    """The name and the scale in NAME or NAME:SCALE, which is 1 where it is left out. ConfigError for a wrong scale."""
    name, colon, number = argument.rpartition(":")
    try:
        scale = float(number) if colon else 1.0
    except ValueError:
        return argument, 1.0
    check_scale(argument, scale)
    return (name if colon else argument), scale


def check_scale(what: str, scale: float) -> None:
    """Raise ConfigError for a scale that is no strength."""
    if not abs(scale) <= LARGEST_SCALE:
        raise ConfigError(f"the scale of {shown(what)} must be a number from -{LARGEST_SCALE:g} to {LARGEST_SCALE:g}")
