"""Verifies a bundle: compares its files with the hashes that the export wrote to export.json."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..config import read_json
from ..errors import BundleError, ConfigError, shown
from ..graphs.file_hashes import verified_sha256
from .layout import EXPORT_RECORD


def verify_files(folder: Path) -> int:
    """Read every file that export.json names and compare its hash with that there; return the number of files.

    Raises BundleError if a file is missing or differs, or if there are no hashes.
    """
    files = _recorded(folder)
    for name, entry in files.items():
        _verify(folder, name, entry.get("sha256") if isinstance(entry, Mapping) else None)
    return len(files)


def _recorded(folder: Path) -> Mapping[str, Any]:
    if not (folder / EXPORT_RECORD).is_file():
        raise BundleError(f"{folder} has no {EXPORT_RECORD} with hashes: it was not exported by this project")
    try:
        files = read_json(folder / EXPORT_RECORD).get("files")
    except ConfigError as error:
        raise BundleError(str(error)) from None
    if not isinstance(files, Mapping) or not files:
        raise BundleError(f"{folder / EXPORT_RECORD} has no hashes: the export is unfinished. Run it again")
    return files


def _verify(folder: Path, name: str, expected: str | None) -> None:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise BundleError(f"{folder / EXPORT_RECORD} names {shown(name)}, which is outside the bundle: refused")
    try:
        found = verified_sha256(path)
    except OSError as error:
        raise BundleError(f"cannot read {path}, which was exported: {error.strerror}. Copy it again") from None
    if found != expected:
        raise BundleError(f"{path} is not the file that was exported: copy or export it again")
