"""Optional JSON files of a bundle."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..config import read_json
from ..errors import BundleError, ConfigError


def read_optional(path: Path) -> Mapping[str, Any]:
    """The JSON object in a file; empty if there is no file. BundleError for a file that is not a JSON object."""
    try:
        return read_json(path) if path.is_file() else {}
    except ConfigError as error:
        raise BundleError(f"{error}: export or copy it again") from None
