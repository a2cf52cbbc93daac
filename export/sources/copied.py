"""Copies the folders of a source that have no network: tokenizers and the safety checker's preprocessor."""

import shutil
from pathlib import Path

from ddim_edge.errors import ConfigError
from ddim_edge.files import open_regular, write_file

from .diffusers_folder import Source

_LARGEST = 64 * 2**20


def copy_folders(source: Source, out: Path) -> None:
    """Copy them to ``out``, and replace what is there. ConfigError for a file that may not be copied."""
    for name in source.copied:
        shutil.rmtree(out / name, ignore_errors=True)
        (out / name).mkdir(parents=True)
        for file in sorted((source.folder / name).iterdir()):
            if not file.is_dir():
                write_file(out / name / file.name, _contents(file, source.folder))


def _contents(file: Path, root: Path) -> bytes:
    """The contents of a file. A link to another place could bring a private file into a bundle, which is passed on."""
    if not any(file.resolve().is_relative_to(place) for place in _places(root)):
        raise ConfigError(f"{file} is a link out of {root}: replace it by the file")
    try:
        with open_regular(file) as opened:
            contents = opened.read(_LARGEST + 1)
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error.strerror}") from None
    if len(contents) > _LARGEST:
        raise ConfigError(f"{file} has more than {_LARGEST:,} bytes: that is no file of a tokenizer")
    return contents


def _places(root: Path) -> list[Path]:
    """The source's folder; for a snapshot of the hub's cache also the blobs beside it, which its files link to."""
    root = root.resolve()
    return [root, root.parent.parent / "blobs"] if root.parent.name == "snapshots" else [root]
