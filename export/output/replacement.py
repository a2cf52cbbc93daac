"""Replaces files of a finished bundle, so that an interruption at any time leaves one that runs and can be replaced on.

First export.json gets the new hashes under "replacing"; then every file is replaced as a whole; then they become those
under "files". Without "replacing", what was replaced before an interruption would look like damage.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ddim_edge.bundle.layout import EXPORT_RECORD
from ddim_edge.config import read_json
from ddim_edge.errors import BundleError
from ddim_edge.files import write_file

from .record import entry_of, file_entry, json_bytes, recorded_files, write_json

_REPLACING = "replacing"


def check_recorded(bundle: Path, files: Sequence[Path]) -> None:
    """BundleError for one of ``files`` whose hash differs from export.json: the updated hashes would hide that."""
    recorded, replacing = recorded_files(bundle), _contents(bundle).get(_REPLACING) or {}
    for file in (*files, *_records_of(files)):
        name = _name(bundle, file)
        if name in recorded and file_entry(file) not in (recorded[name], replacing.get(name)):
            raise BundleError(f"{file} is not the file that was exported: copy or export it again")


def replace_recorded(bundle: Path, files: Sequence[Path], drafts: Mapping[Path, Path], **facts: Any) -> None:
    """Replace those of ``files`` that have a draft beside them, in their order, and give export.json ``facts``.

    The hashes of all ``files`` are written, also of those that an interrupted call has replaced. Without export.json
    only the files are replaced.
    """
    contents = _contents(bundle)
    entries = {_name(bundle, file): file_entry(drafts.get(file, file)) for file in files}
    records = {record: _updated(bundle, record, entries) for record in _records_of(files)}
    entries |= {_name(bundle, record): entry_of(text) for record, text in records.items()}
    if contents and drafts:
        write_json(bundle / EXPORT_RECORD, {**contents, _REPLACING: entries})
    for file in files:
        if file in drafts:
            _replace(file, drafts[file])
    for record, text in records.items():
        if record.read_bytes() != text:
            write_file(record, text)
    if contents:
        contents.pop(_REPLACING, None)
        write_json(bundle / EXPORT_RECORD, {**facts, **contents, **facts, "files": _merged(bundle, entries)})


def _contents(folder: Path) -> dict[str, Any]:
    path = folder / EXPORT_RECORD
    return dict(read_json(path)) if path.is_file() else {}


def _name(folder: Path, file: Path) -> str:
    return file.relative_to(folder).as_posix()


def _records_of(files: Sequence[Path]) -> Iterator[Path]:
    """The export.json of each network whose graphs are among ``files``; a network alone has only the bundle's."""
    for folder in dict.fromkeys(file.parent for file in files):
        if (folder / EXPORT_RECORD).is_file():
            yield folder / EXPORT_RECORD


def _updated(bundle: Path, record: Path, entries: Mapping[str, Any]) -> bytes:
    """The export.json of a network with the new ``entries`` of the bundle."""
    own = {name.removeprefix(f"{_name(bundle, record.parent)}/"): entry for name, entry in entries.items()}
    return json_bytes({**read_json(record), "files": _merged(record.parent, own)})


def _merged(folder: Path, entries: Mapping[str, Any]) -> dict[str, Any]:
    """The recorded files of a folder, with ``entries`` for those of them that have a new one."""
    return {name: entries.get(name, entry) for name, entry in recorded_files(folder).items()}


def _replace(file: Path, draft: Path) -> None:
    with open(draft, "rb+") as opened:
        os.fsync(opened.fileno())
    draft.replace(file)
