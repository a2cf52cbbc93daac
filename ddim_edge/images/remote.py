"""A folder in an object store that a URL names, through fsspec (extra ``remote``)."""

import contextlib
import errno
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from ..errors import ConfigError, OutputError, choose_from, shortened
from ..extras import install_command

_PACKAGES = {
    "s3": "s3fs",
    "s3a": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "az": "adlfs",
    "abfs": "adlfs",
    "abfss": "adlfs",
    "memory": "fsspec",
}
"""The stores and the packages that reach them: each shows an object only once it is whole, and can refuse to replace
one. Other file systems of fsspec show half a file while it is written, so that a run could not be resumed."""

_PROBE = ".ddim-edge-probe"


def is_url(text: str) -> bool:
    """Whether a text is a URL, as ``s3://bucket/folder/``, not a path."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", text) is not None


class RemoteFolder:
    """A folder of a store. Every file is one object that is put whole, so that a file that exists is whole."""

    def __init__(self, url: str) -> None:
        check_url(url)
        self.url = url.rstrip("/")
        self._system, self._root = _open(url)
        self._names: set[str] | None = None

    def __str__(self) -> str:
        return f"{self.url}/"

    def create(self) -> None:
        """Check that objects can be listed and written: a small object is put there and removed."""
        if self._names is not None:
            return
        with self._errors("write to"):
            self._system.pipe_file(self._path(_PROBE), b"")
            self._listed()
        with contextlib.suppress(Exception):  # who may not remove objects leaves an empty one
            self._system.rm_file(self._path(_PROBE))

    def read(self, name: str, size: int) -> bytes | None:
        with self._errors("read"):
            try:
                return bytes(self._system.cat_file(self._path(name))[:size])
            except FileNotFoundError:
                return None

    def write(self, name: str, contents: bytes) -> None:
        with self._errors("write to"):
            self._system.pipe_file(self._path(name), contents)
        if self._names is not None:
            self._names.add(name)

    def write_new(self, name: str, contents: bytes) -> None:
        with self._errors("write to"):
            path = self._path(name)
            # Some servers of the S3 protocol ignore the condition: an object from before is not replaced there either.
            if self._exists(path):
                raise FileExistsError(path)
            try:
                self._system.pipe_file(path, contents, mode="create")
            except OSError as error:
                if error.errno == errno.ENOSYS:
                    self._system.pipe_file(path, contents)
                elif self._exists(path):
                    raise FileExistsError(path) from None
                else:
                    raise

    def holds(self, name: str, _recipe: Mapping[str, Any], /) -> bool:
        """Whether the object existed when the folder was first listed, or was written since."""
        with self._errors("list"):
            return name in self._listed()

    def names(self) -> Iterable[str]:
        with self._errors("list"):
            return list(self._listed())

    def remove(self, name: str) -> None:
        with self._errors("remove from"), contextlib.suppress(FileNotFoundError):
            self._system.rm_file(self._path(name))
        if self._names is not None:
            self._names.discard(name)

    def _listed(self) -> set[str]:
        """The names in the folder: one list for thousands of images, not a call for each."""
        if self._names is None:
            try:
                found = self._system.ls(self._root, detail=False, refresh=True)
            except FileNotFoundError:
                found = []
            self._names = {str(path).rstrip("/").rpartition("/")[2] for path in found}
        return self._names

    def _exists(self, path: str) -> bool:
        self._system.invalidate_cache()
        return bool(self._system.exists(path))

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    @contextlib.contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        """Turn any exception but FileExistsError into an OutputError: each store has exceptions of its own."""
        try:
            yield
        except FileExistsError:
            raise
        except Exception as error:
            raise OutputError(f"cannot {what} {self}: {_reason(error)}") from None


def check_url(url: str) -> None:
    """ConfigError for a URL of no store, or with a password or parameters in it, which the message does not repeat."""
    scheme, parts = url.partition("://")[0].lower(), urlsplit(url)
    if scheme not in _PACKAGES:
        raise ConfigError(choose_from("the scheme of the URL", scheme, ["file", *_PACKAGES]))
    if ":" in parts.netloc or parts.query or parts.fragment:
        raise ConfigError(
            f"the URL {scheme}://… may have a bucket and a path only: give passwords, keys and the store's address "
            "as the store's own environment variables or files"
        )
    if not parts.netloc and scheme != "memory":
        raise ConfigError(f"the URL {scheme}://… needs a bucket, as in {scheme}://bucket/folder/")


def _open(url: str) -> tuple[Any, str]:
    """The store's file system and the path of the folder in it."""
    package = _PACKAGES[url.partition("://")[0].lower()]
    try:
        import fsspec
    except ImportError:
        needed = install_command("remote") + ("" if package == "fsspec" else f" {package}")
        raise ConfigError(f"writing to a URL needs packages that are missing: {needed}") from None
    try:
        system, root = fsspec.core.url_to_fs(url)
    except ImportError:
        raise ConfigError(f"the store of {url} needs a package that is missing: pip install {package}") from None
    except Exception as error:
        raise OutputError(f"cannot open {url}: {_reason(error)}") from None
    return system, str(root).rstrip("/")


def _reason(error: Exception) -> str:
    """What an exception says, on one line, without user names and passwords of URLs in it."""
    text = str(error.strerror or error) if isinstance(error, OSError) else str(error)
    if isinstance(error, FileNotFoundError):
        text = f"there is no such bucket or folder ({text})"
    return shortened(re.sub(r"://[^/@\s]*@", "://", text)) or type(error).__name__
