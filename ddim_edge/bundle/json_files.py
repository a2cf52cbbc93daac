"""JSON files of a bundle that need not be there."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..config import read_json
from ..errors import BundleError, ConfigError


def read_optional(path: Path) -> Mapping[str, Any]:
    """The object in the file, empty where there is no file; BundleError for one that is no JSON object."""
    try:
        return read_json(path) if path.is_file() else {}
    except ConfigError as error:
        raise BundleError(f"{error}: export or copy it again") from None
