"""Options of the form KEY=VALUE."""

import json
from collections.abc import Sequence
from typing import Any

from ..errors import ConfigError, shown


def key_values(flag: str, pairs: Sequence[str], example: str) -> dict[str, Any]:
    """The values by key: numbers, true, false, null and lists as JSON writes them, anything else as text.

    ``flag`` and ``example`` are for the ConfigError about an entry without "=".
    """
    values = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals:
            raise ConfigError(f"{flag} must be KEY=VALUE, for instance {example}, not {shown(pair)}")
        try:
            values[key.strip()] = json.loads(text)
        except (ValueError, RecursionError):
            values[key.strip()] = text.strip()
    return values
