"""The recipe in a JPEG or WebP file: JSON in EXIF's UserComment."""

import json
from collections.abc import Mapping
from typing import Any

from PIL import ExifTags, Image

_MAX_BYTES = 65_000
"""Of a file's EXIF data. JPEG has room for 65,533."""
_CODE = b"ASCII\0\0\0"


def exif_of(recipe: Mapping[str, Any]) -> bytes:
    """EXIF data with ``recipe``; empty where it is too long for a JPEG file."""
    exif = Image.Exif()
    exif[ExifTags.IFD.Exif] = {ExifTags.Base.UserComment: _CODE + json.dumps(recipe).encode()}
    contents = exif.tobytes()
    return contents if len(contents) <= _MAX_BYTES else b""


def recipe_in_exif(picture: Image.Image) -> str | None:
    """The JSON of the recipe in a picture's EXIF data; None where there is no such comment."""
    comment = picture.getexif().get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.UserComment)
    if not isinstance(comment, bytes) or not comment.startswith(_CODE):
        return None
    return comment.removeprefix(_CODE).decode("ascii", "replace")
