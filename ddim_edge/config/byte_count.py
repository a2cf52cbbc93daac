"""Byte counts: sizes such as ``2GB`` or ``800MiB``, read and written."""

import math
import re

from ..errors import ConfigError, shown

_UNITS = {"B": 1} | {
    unit: factor**power
    for power, letter in enumerate("KMGT", 1)
    for unit, factor in ((f"{letter}B", 1000), (f"{letter}IB", 1024))
}
_SIZE = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,9})?) ?([A-Za-z]*)")


def byte_count(name: str, value: int | str) -> int:
    """The bytes of ``value``: a whole number of bytes, or text such as 2GB (10^9 bytes) or 1.5GiB (2^30).

    Raises ConfigError, which calls the value ``name``, for anything else, and for less than one byte.
    """
    if isinstance(value, str):
        match = _SIZE.fullmatch(value.strip())
        factor = _UNITS.get((match[2] or "B").upper()) if match else None
        count = int(float(match[1]) * factor) if match and factor else 0
    else:
        count = value if isinstance(value, int) and not isinstance(value, bool) else 0
    if count < 1:
        raise ConfigError(
            f"{name} must be a size above 0, such as 2GB, 1.5GiB, 800MB or a number of bytes, not {shown(value)}"
        )
    return count


def size_text(count: int) -> str:
    """``count`` bytes as text that ``byte_count`` reads, rounded up to 10 MB: 0.94 GB."""
    return f"{math.ceil(count / 1e7) / 100:.2f} GB"
