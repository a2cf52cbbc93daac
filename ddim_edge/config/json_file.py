"""Reads a JSON object from a file, from text, or from a dict."""

import json
import os
from collections.abc import Mapping
from typing import Any

from ..errors import ConfigError
from ..files import open_regular

MAX_BYTES = 16 * 2**20


def read_json(source: str | os.PathLike[str] | Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the JSON object in the file ``source``; a mapping is returned as it is.

    Raises ConfigError for a file that cannot be read, has more than 16 MiB, or does not hold a JSON object.
    """
    if isinstance(source, Mapping):
        return source
    where = os.fspath(source)
    try:
        with open_regular(source) as file:
            contents = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        raise ConfigError(f"cannot read {where}: {getattr(error, 'strerror', error)}") from None
    if len(contents) > MAX_BYTES:
        raise ConfigError(f"{where} has more than {MAX_BYTES:,} bytes: that is no JSON file of a model")
    return parse_json(contents, where)


def parse_json(contents: str | bytes, where: str) -> Mapping[str, Any]:
    """Parse a JSON object; ``where`` names it in messages. Raises ConfigError for anything else."""
    try:
        value = json.loads(contents)
    except RecursionError:
        raise ConfigError(f"{where} is nested too deeply") from None
    except ValueError as error:  # also UnicodeDecodeError, and a number of more digits than Python converts
        raise ConfigError(f"{where} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ConfigError(f"{where} must hold a JSON object, not a {type(value).__name__}")
    return value
