"""Storage: the folder that the files of a run are written to, on this machine or in a store that a URL names."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from ..errors import ConfigError, OutputError, shown
from ..files import open_regular, output_errors, write_file, write_new_file
from .formats import is_whole
from .remote import RemoteFolder, is_url
from .tar import is_whole_tar

_PROBE = "run.json"


class Storage(Protocol):
    """A folder. ``str`` of it is its path or URL without anything secret. Its methods raise OutputError."""

    def create(self) -> None:
        """Create the folder if it is not there, and check that files can be written."""

    def read(self, name: str, size: int) -> bytes | None:
        """The first ``size`` bytes of a file; None where there is none."""

    def write(self, name: str, contents: bytes) -> None:
        """Write a file whole or not at all."""

    def write_new(self, name: str, contents: bytes) -> None:
        """As ``write``, but raise FileExistsError where the file exists: of several writers one succeeds."""

    def holds(self, name: str, recipe: Mapping[str, Any], /) -> bool:
        """Whether a file is there and whole, and is, if it says so, of this recipe."""

    def names(self) -> Iterable[str]:
        """The names in the folder. A store's are those of when it was first listed, and those written since."""

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""


class LocalFolder:
    """A folder of this machine's file system."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __str__(self) -> str:
        return str(self.path)

    def create(self) -> None:
        check_can_write(self.path / _PROBE)

    def read(self, name: str, size: int) -> bytes | None:
        path = self.path / name
        try:
            with open_regular(path) as file:
                return file.read(size)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise OutputError(f"cannot read {path}: {error.strerror or error}") from None

    def write(self, name: str, contents: bytes) -> None:
        write_file(self.path / name, contents)

    def write_new(self, name: str, contents: bytes) -> None:
        write_new_file([self.path / name], contents)

    def holds(self, name: str, recipe: Mapping[str, Any], /) -> bool:
        path = self.path / name
        return is_whole_tar(path) if path.suffix == ".tar" else is_whole(path, recipe)

    def names(self) -> Iterable[str]:
        with output_errors(self.path):
            return [path.name for path in self.path.iterdir()]

    def remove(self, name: str) -> None:
        path = self.path / name
        with output_errors(path):
            path.unlink(missing_ok=True)


def check_can_write(path: Path) -> None:
    """Create the folder of the file ``path`` if it is not there. OutputError if the file cannot be written.

    It is checked before a long run, not after it.
    """
    folder = path.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise OutputError(f"cannot write {path}: {folder} is a file, not a folder. Give another path") from None
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror}") from None
    if not os.access(folder, os.W_OK):
        raise OutputError(f"cannot write {path}: the folder {folder} is not writable")


def storage_of(target: str | os.PathLike[str]) -> Storage:
    """The folder of a path or URL. Nothing is read or written yet. ConfigError for a URL that cannot be used."""
    text = os.fspath(target)
    return RemoteFolder(text) if is_url(text) else LocalFolder(Path(target))


def without_file_scheme(target: str) -> str:
    """A path for a URL of the scheme file, everything else as it is. ConfigError for another machine's file URL."""
    if not target.lower().startswith("file:"):
        return target
    parts = urlsplit(target)
    if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        raise ConfigError(f"{shown(target)} names a file of another machine: write file:///PATH with three slashes")
    from urllib.request import url2pathname  # here, because it loads the modules of HTTP and of mail

    return url2pathname(parts.path)
