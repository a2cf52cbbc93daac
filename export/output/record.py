"""The files of export.json: the hash and size of every file of a bundle. Needs no PyTorch."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ddim_edge.config import read_json
from ddim_edge.files import sha256_of, write_file

FILE_NAME = "export.json"


def write_json(path: Path, contents: Mapping[str, Any]) -> None:
    """Write a JSON object, whole or not at all, and the folder that it lies in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, (json.dumps(contents, indent=2) + "\n").encode())


def hash_files(folder: Path) -> dict[str, dict[str, str | int]]:
    """The hash and size of every file below ``folder``; what a subfolder's export.json knows is not read again."""
    known: dict[str, dict[str, str | int]] = {}
    for record in sorted(folder.glob(f"*/{FILE_NAME}")):
        files = read_json(record)["files"]
        known |= {f"{record.parent.name}/{name}": entry for name, entry in files.items()}
    names = [file.relative_to(folder).as_posix() for file in _files(folder)]
    return {name: known.get(name) or file_entry(folder / name) for name in names if name != FILE_NAME}


def file_entry(file: Path) -> dict[str, str | int]:
    """The hash and size of a file."""
    return {"sha256": sha256_of(file), "size": file.stat().st_size}


def recorded_files(folder: Path) -> dict[str, Any]:
    """The hashes that the export.json of ``folder`` has, by file; none where there is no such file, or none in it."""
    contents = read_json(folder / FILE_NAME) if (folder / FILE_NAME).is_file() else {}
    return dict(contents.get("files", {}))


def update_hashes(folder: Path, files: Iterable[Path], **facts: Any) -> None:
    """Write the hashes of some ``files`` below ``folder`` anew into its export.json; ``facts`` if it is a network's.

    A file that is gone is struck out. Where there are no hashes, as in an unfinished bundle, nothing is written.
    """
    before = recorded_files(folder)
    if not before:
        return
    changed = {file.relative_to(folder).as_posix(): file_entry(file) if file.is_file() else None for file in files}
    entries = {name: entry for name, entry in sorted((before | changed).items()) if entry is not None}
    contents = read_json(folder / FILE_NAME)
    stated = facts if "network" in contents else {}
    write_json(folder / FILE_NAME, {**contents, **stated, "files": entries})


def folder_size(folder: Path) -> int:
    """Bytes of all files below ``folder``."""
    return sum(file.stat().st_size for file in _files(folder))


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())
