"""Whether an image file is whole: not cut off, and not damaged."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..config.json_file import parse_json
from ..errors import ConfigError
from ..files import open_regular
from .encode import RECIPE_KEY
from .npy_header import read_npy_header
from .open_picture import open_picture

_LAST_CHUNK = b"\0\0\0\0IEND\xaeB`\x82"


def is_whole_png(path: Path, recipe: Mapping[str, Any]) -> bool:
    """Whether ``path`` is a PNG that ends with its last chunk and has, if any, this recipe. All checksums must fit."""
    try:
        with open_picture(path) as picture:
            text = picture.info.get(RECIPE_KEY)
            picture.verify()
        own = text is None or parse_json(text, "the recipe") == json.loads(json.dumps(recipe))
        return own and _end(path) == _LAST_CHUNK
    except (ConfigError, OSError):
        return False


def is_whole_npy(path: Path) -> bool:
    """Whether ``path`` is a .npy file of the size that its header says."""
    try:
        with open_regular(path) as file:
            return read_npy_header(file).size == os.fstat(file.fileno()).st_size - file.tell()
    except (ValueError, OSError):
        return False


def _end(path: Path) -> bytes:
    with open_regular(path) as file:
        file.seek(-len(_LAST_CHUNK), os.SEEK_END)
        return file.read()
