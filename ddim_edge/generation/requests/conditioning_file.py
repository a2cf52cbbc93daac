"""Conditioning files (.npz): an array for each input that a model takes by name."""

import zipfile
from collections.abc import Callable
from pathlib import Path

from ...arrays import Array
from ...bundle.bundle import Bundle
from ...errors import ConfigError, shortened
from ...files import open_regular
from ...images.npy_header import NpyHeader
from ...images.npz import read_member
from .named_arrays import check_names

MAX_BYTES = 2**30
"""The largest array that is read."""


def read_conditioning(path: Path, bundle: Bundle) -> dict[str, Array]:
    """The arrays of a file, by name. ConfigError for another file, and for other names, before arrays are read."""
    return read_arrays(path, lambda names: check_names(bundle, names))


def read_arrays(path: Path, check: Callable[[list[str]], None]) -> dict[str, Array]:
    """The arrays of a file, by name. ConfigError for another file. ``check`` sees the names before arrays are read."""
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
            check(names)
            return {name: read_member(archive, name, _check_size) for name in names}
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    except Exception as error:  # zipfile and NumPy raise many kinds for a broken file
        why = getattr(error, "strerror", None) or shortened(str(error)) or type(error).__name__
        raise ConfigError(f"{path} is no .npz file of arrays by name, as numpy.savez writes it: {why}") from None


def _check_size(header: NpyHeader) -> None:
    if header.size > MAX_BYTES:
        raise ConfigError(f"an array of {header.size:,} bytes is too large: at most {MAX_BYTES:,} are read")
