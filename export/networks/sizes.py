"""Image sizes for comparisons that a denoising network accepts, read from its config.json."""

from ddim_edge.errors import ConfigError, shown

from ..config_keys import Config, widths

Side = tuple[int, int]

_SMALLEST, _LARGEST = 8, 32


def two_image_sizes(config: Config) -> tuple[Side, Side]:
    """The network's own height and width, within limits, and a small size that is not square.

    Each level but the first halves the image, so height and width are multiples of 2^(levels-1).
    """
    native = config.get("sample_size") or _SMALLEST
    height, width = native if isinstance(native, (list, tuple)) else (native, native)
    if not all(isinstance(side, int) and side > 0 for side in (height, width)):
        raise ConfigError(f"sample_size must be a positive whole number or a pair of them, not {shown(native)}")
    if not config.get("block_out_channels"):
        return _without_levels(config, height, width)
    unit = 2 ** (len(widths(config, "block_out_channels")) - 1)
    # Not larger than the training size: beyond it, values can grow, and rounding errors with them.
    small, limit = (max(_round_up(side, unit), 2 * unit) for side in (min(_SMALLEST, height, width), _LARGEST))
    full = (min(_round_up(height, unit), limit), min(_round_up(width, unit), limit))
    other = (small, small + unit)
    return full, other if other != full else other[::-1]


def _without_levels(config: Config, height: int, width: int) -> tuple[Side, Side]:
    if not config.get("sample_size"):
        raise ConfigError(
            "the config has neither block_out_channels nor sample_size: add one of them, which gives the valid sizes"
        )
    return (height, width), (height, 2 * width)


def _round_up(value: int, unit: int) -> int:
    return -(-value // unit) * unit
