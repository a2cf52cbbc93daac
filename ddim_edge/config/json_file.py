"""Reads a JSON object from a file or a dict."""

import json
import os
from collections.abc import Mapping
from typing import Any

from ..errors import ConfigError


def read_json(source: str | os.PathLike[str] | Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the JSON object in the file ``source``; a mapping is returned as it is. Raises ConfigError."""
    if isinstance(source, Mapping):
        return source
    try:
        with open(source, encoding="utf-8") as file:
            value = json.load(file)
    except OSError as error:
        raise ConfigError(f"cannot read {os.fspath(source)}: {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(f"{os.fspath(source)} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ConfigError(f"{os.fspath(source)} must hold a JSON object, not a {type(value).__name__}")
    return value
