"""Whether an image file is whole: not cut off, and not damaged."""

import json
import os
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..config.json_file import parse_json
from ..errors import ConfigError
from ..files import open_regular
from .encode import recipe_text_in
from .npy_header import read_npy_header
from .npz import RECIPE, read_text
from .open_picture import open_picture

_LAST = {"PNG": b"\0\0\0\0IEND\xaeB`\x82", "JPEG": b"\xff\xd9"}
"""The last bytes of a file; a WebP file has its length in front."""


def is_whole_picture(path: Path, recipe: Mapping[str, Any]) -> bool:
    """Whether ``path`` is a PNG, JPEG or WebP file that is not cut off and has, if any, this recipe.

    All checksums of a PNG must fit. The other formats have none: they are decoded.
    """
    try:
        with open_picture(path) as picture:
            text, last = recipe_text_in(picture), _LAST.get(str(picture.format), b"")
            if picture.format == "PNG":
                picture.verify()
            else:
                picture.load()
        own = text is None or _is_recipe(text, recipe)
        return own and _end(path, len(last)) == last
    except (ConfigError, OSError):
        return False


def is_same_picture(path: Path, recipe: Callable[[], Mapping[str, Any]], size: tuple[int, int]) -> bool:
    """Whether ``path`` is a whole picture of this recipe, of a width and height. ``recipe`` is called if needed."""
    try:
        with open_picture(path) as picture:
            comparable = picture.size == size and recipe_text_in(picture) is not None
    except ConfigError:
        return False
    return comparable and is_whole_picture(path, recipe())


def is_whole_npy(path: Path) -> bool:
    """Whether ``path`` is a .npy file of the size that its header says."""
    try:
        with open_regular(path) as file:
            return read_npy_header(file).size == os.fstat(file.fileno()).st_size - file.tell()
    except (ValueError, OSError):
        return False


def is_whole_npz(path: Path, recipe: Mapping[str, Any]) -> bool:
    """Whether ``path`` is an .npz file that is not cut off and has this recipe. All checksums must fit."""
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            return archive.testzip() is None and _is_recipe(read_text(archive, RECIPE), recipe)
    except Exception:  # zipfile and NumPy raise many kinds for a broken file
        return False


def _is_recipe(text: str, recipe: Mapping[str, Any]) -> bool:
    same: bool = parse_json(text, "the recipe") == json.loads(json.dumps(recipe))
    return same


def _end(path: Path, size: int) -> bytes:
    with open_regular(path) as file:
        file.seek(-size, os.SEEK_END)
        return file.read()
