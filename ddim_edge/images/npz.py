"""Files of arrays (.npz): samples with their recipe inside, and reading an array after its header was checked."""

import io
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..arrays import Array
from ..config.json_file import parse_json
from ..errors import ConfigError, shortened
from ..files import open_regular
from .encode import recipe_text
from .npy_header import NpyHeader, read_npy_header

SAMPLES, RECIPE = "samples", "recipe"
"""The names of the arrays in a file of samples. The recipe is JSON text."""


def npz_bytes(samples: Array, recipe: Mapping[str, Any], name: str = SAMPLES) -> bytes:
    """The contents of an .npz file of samples, called ``name`` there, with ``recipe``."""
    buffer = io.BytesIO()
    arrays: dict[str, Any] = {name: samples, RECIPE: np.array(recipe_text(recipe))}
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def read_member(archive: zipfile.ZipFile, name: str, check: Callable[[NpyHeader], None]) -> Array:
    """The array ``name`` of an .npz file. ``check`` sees its header before its values are read.

    Raises KeyError where there is none, ValueError for one that NumPy did not write, and what ``check`` raises.
    """
    entry = archive.getinfo(f"{name}.npy")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{name} is compressed in a way that NumPy does not write")
    with archive.open(entry) as member:
        check(read_npy_header(member))
    with archive.open(entry) as member:
        return np.asarray(np.lib.format.read_array(member, allow_pickle=False))


def read_npz_recipe(path: Path) -> Mapping[str, Any]:
    """The recipe of a file of samples. ConfigError for any other file."""
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            archive.getinfo(f"{SAMPLES}.npy")
            text = read_text(archive, RECIPE)
    except Exception as error:  # zipfile and NumPy raise many kinds for a broken file
        why = getattr(error, "strerror", None) or shortened(str(error)) or type(error).__name__
        raise ConfigError(f"{path} is no file of samples that ddim-edge wrote: {why}") from None
    return parse_json(text, f"the recipe in {path}")


def read_text(archive: zipfile.ZipFile, name: str, longest: int = 2**24) -> str:
    """The text ``name`` of an .npz file; ValueError for an array that is none, or has more than ``longest`` bytes."""

    def check(header: NpyHeader) -> None:
        if header.shape != () or header.dtype.kind != "U" or header.size > longest:
            raise ValueError(f"{name} has {header.size} bytes of the type {header.dtype}")

    return str(read_member(archive, name, check))
