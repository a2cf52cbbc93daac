"""Names of files and folders that do not exist yet, for what is written without --output."""

import contextlib
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..files import output_errors, write_file, write_new_file


def free_names(model: str, file_format: str) -> Iterator[Path]:
    """Those of model.png, model-2.png, … that do not exist in the current folder, nor as .gif.

    Without a format, the names of folders: model-images, model-images-2, …
    """
    stem = Path(model).resolve().name
    suffix = f".{file_format}" if file_format else ""
    stem = stem if file_format else f"{stem.replace('.', '-')}-images"
    for number in itertools.count(1):
        path = Path(f"{stem}-{number}{suffix}" if number > 1 else f"{stem}{suffix}")
        if not path.exists() and not path.with_suffix(".gif").exists():
            yield path


def new_folder(paths: Iterable[Path]) -> Path:
    """Create the first of ``paths`` that does not exist. Of several processes, each gets its own."""
    for path in paths:
        with output_errors(path), contextlib.suppress(FileExistsError):
            path.mkdir()
            return path
    raise FileExistsError


def write_image_file(path: Path, contents: bytes, other_names: Iterator[Path] | None) -> Path:
    """Write a file, or with ``other_names`` a new file of the first name that is free. Returns its path."""
    if other_names is None:
        return write_file(path, contents)
    return write_new_file(itertools.chain([path], other_names), contents)
