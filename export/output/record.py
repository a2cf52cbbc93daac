"""The key "files" of export.json: hash and size of every file. Needs no PyTorch."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ddim_edge.bundle.layout import EXPORT_RECORD
from ddim_edge.config import read_json
from ddim_edge.files import write_file
from ddim_edge.graphs.file_hashes import read_sha256, remember


def write_json(path: Path, contents: Mapping[str, Any]) -> None:
    """Write a JSON object, whole or not at all. Creates its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, json_bytes(contents))


def json_bytes(contents: Mapping[str, Any]) -> bytes:
    """A JSON object as it is written to a file."""
    return (json.dumps(contents, indent=2) + "\n").encode()


def hash_files(folder: Path) -> dict[str, dict[str, str | int]]:
    """The hash and size of every file below ``folder``. Files in a subfolder's export.json are not read again."""
    known: dict[str, dict[str, str | int]] = {}
    for record in sorted(folder.glob(f"*/{EXPORT_RECORD}")):
        files = read_json(record)["files"]
        known |= {f"{record.parent.name}/{name}": entry for name, entry in files.items()}
    names = [file.relative_to(folder).as_posix() for file in _files(folder)]
    return {name: known.get(name) or file_entry(folder / name) for name in names if name != EXPORT_RECORD}


def file_entry(file: Path) -> dict[str, str | int]:
    """The SHA-256 and the size in bytes of a file."""
    return {"sha256": read_sha256(file), "size": file.stat().st_size}


def entry_of(contents: bytes) -> dict[str, str | int]:
    """The entry of a file with these contents."""
    return {"sha256": hashlib.sha256(contents).hexdigest(), "size": len(contents)}


def recorded_files(folder: Path) -> dict[str, Any]:
    """Hash and size by file from the export.json of ``folder``; empty where it has none."""
    contents = read_json(folder / EXPORT_RECORD) if (folder / EXPORT_RECORD).is_file() else {}
    return dict(contents.get("files", {}))


def update_hashes(folder: Path, files: Iterable[Path], **facts: Any) -> None:
    """Update hash and size of ``files`` below ``folder`` in its export.json; and ``facts``, if it is a network's.

    A missing file is removed from it. An export.json without hashes, as of an unfinished bundle, is not changed.
    """
    before = recorded_files(folder)
    if not before:
        return
    changed = {file.relative_to(folder).as_posix(): file_entry(file) if file.is_file() else None for file in files}
    entries = {name: entry for name, entry in sorted((before | changed).items()) if entry is not None}
    contents = read_json(folder / EXPORT_RECORD)
    stated = facts if "network" in contents else {}
    write_json(folder / EXPORT_RECORD, {**contents, **stated, "files": entries})


def remember_hashes(folder: Path) -> None:
    """Note the hashes of the files below ``folder`` for this machine, so that the first run does not read them again.

    Only of files that this process has hashed, here or before they were moved here.
    """
    for file in _files(folder):
        remember(file)


def folder_size(folder: Path) -> int:
    """Size of all files below ``folder``, in bytes."""
    return sum(file.stat().st_size for file in _files(folder))


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())
