"""The version of the bundle format: a number in export.json, and the first version of ddim-edge that reads it."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..config.schema import Check, check_json, text, whole
from ..errors import BundleError, ConfigError
from ..version import __version__
from .json_files import read_optional
from .layout import EXPORT_RECORD

FORMAT = 2
"""The format that exports have, and the newest that is read here. docs/bundle-format.md says what each one is."""
FIRST_READER = "0.1.0"
"""The first version of ddim-edge that reads it."""
UNNUMBERED = 1
"""The format of an export without a number."""

_NUMBER, _READER = "format", "min_ddim_edge"
_SCHEMA: Mapping[str, Check] = {_NUMBER: whole(1, 1_000_000), _READER: text(30)}
_VERSION = re.compile(r"[0-9][0-9a-zA-Z.+-]*")


def format_keys() -> dict[str, Any]:
    """The keys of export.json that say a bundle has the format of today."""
    return {_NUMBER: FORMAT, _READER: FIRST_READER}


def read_format(folder: Path) -> int | None:
    """The format of a bundle; None for a folder without export.json, which another program made.

    BundleError for a newer format than is read here, with the version of ddim-edge that reads it.
    """
    if not (folder / EXPORT_RECORD).exists():
        return None
    record = read_optional(folder / EXPORT_RECORD)
    try:
        check_json(record, _SCHEMA, str(folder / EXPORT_RECORD))
    except ConfigError as error:
        raise BundleError(f"{error}: export or copy it again") from None
    number: int = record.get(_NUMBER) or UNNUMBERED
    if number > FORMAT:
        raise BundleError(_newer(folder, number, record.get(_READER) or ""))
    return number


def _newer(folder: Path, number: int, reader: str) -> str:
    """An older ddim-edge cannot know which version reads a newer format: the bundle says it."""
    if not _VERSION.fullmatch(reader):
        return (
            f"{folder} has bundle format {number}, and this ddim-edge reads formats up to {FORMAT}: upgrade ddim-edge"
        )
    return (
        f"{folder} has bundle format {number}, which ddim-edge {reader} or newer reads; this is ddim-edge "
        f"{__version__}, which reads formats up to {FORMAT}: upgrade ddim-edge"
    )
