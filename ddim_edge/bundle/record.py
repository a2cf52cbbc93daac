"""Keeps a bundle's export.json true when one of its files is added or changed."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..config import read_json
from ..files import write_file
from ..graphs.file_hashes import read_sha256
from .layout import EXPORT_RECORD


def record_files(folder: Path, files: Iterable[Path], **facts: Any) -> None:
    """Update hash and size of ``files`` below ``folder`` in its export.json, and the keys of ``facts``.

    An export.json without hashes, as of an unfinished bundle, is not changed.
    """
    record = folder / EXPORT_RECORD
    contents = read_json(record) if record.is_file() else {}
    if contents.get("files"):
        changed = {file.relative_to(folder).as_posix(): _entry(file) for file in files}
        write_json(record, {**contents, **facts, "files": {**contents["files"], **changed}})


def write_json(path: Path, contents: Mapping[str, Any]) -> None:
    """Write a JSON object, whole or not at all. Raises OutputError where it cannot be written."""
    write_file(path, (json.dumps(contents, indent=2) + "\n").encode())


def _entry(file: Path) -> dict[str, Any]:
    return {"sha256": read_sha256(file), "size": file.stat().st_size}
