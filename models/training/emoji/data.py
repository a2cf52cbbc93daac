"""The colour emoji of Debian's fonts-noto-color-emoji, 32x32 pixels on white, with their Unicode names as captions."""

import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ddim_edge.errors import ConfigError

DEFAULT_FONT = Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
SIDE = 32
_BITMAP_SIZE = 109  # the only size in the font; a glyph has 136 x 128 pixels
_GLYPH = (136, 128)
# Digits and signs of keycaps, letters of flags, modifiers of skin or hair.
_PARTS = frozenset([*range(0x80), 0x20E3, *range(0x1F1E6, 0x1F200), *range(0x1F3FB, 0x1F400), *range(0x1F9B0, 0x1F9B4)])


class Emoji(NamedTuple):
    """Captions in lower case, and their pictures: uint8 (N, 32, 32, 3)."""

    names: tuple[str, ...]
    images: NDArray[np.uint8]


def load(font: Path = DEFAULT_FONT) -> Emoji:
    """Every single code point with a name and a glyph, except skin tones, flags and keycaps: about 1,360.

    Which code points have a name depends on Python's version of Unicode. Raises ConfigError where the font is missing.
    """
    try:
        opened = ImageFont.truetype(font, _BITMAP_SIZE, layout_engine=ImageFont.Layout.BASIC)
    except OSError as error:
        raise ConfigError(
            f"{font} cannot be read as a font of {_BITMAP_SIZE} pixels ({error}): install Debian's package "
            "fonts-noto-color-emoji, or give its NotoColorEmoji.ttf with --font"
        ) from None
    pairs = [(name, picture) for name, character in _named() if (picture := _draw(opened, character)) is not None]
    if not pairs:
        raise ConfigError(f"{font} has no colour emoji: give NotoColorEmoji.ttf of fonts-noto-color-emoji with --font")
    names, pictures = zip(*pairs, strict=True)
    return Emoji(names, np.stack(pictures))


def _named() -> Iterator[tuple[str, str]]:
    for number in range(0xA9, 0x20000):
        name = unicodedata.name(chr(number), None)
        if name is not None and number not in _PARTS:
            yield name.lower(), chr(number)


def _draw(font: ImageFont.FreeTypeFont, character: str) -> NDArray[np.uint8] | None:
    """Draw the character in colour, centred on a white square. None if the font has no glyph for it."""
    glyph = Image.new("RGBA", _GLYPH)
    ImageDraw.Draw(glyph).text((0, 0), character, font=font, embedded_color=True)
    if glyph.getbbox() is None:
        return None
    square = Image.new("RGBA", (_GLYPH[0], _GLYPH[0]), "white")
    square.alpha_composite(glyph, (0, (_GLYPH[0] - _GLYPH[1]) // 2))
    return np.asarray(square.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS))
