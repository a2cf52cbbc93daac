"""Images in a terminal: each character is an upper half block (▀) that shows two pixels."""

import shutil

import numpy as np

from ..arrays import Pixels
from ..images.encode import to_pillow


def half_blocks(image: Pixels, columns: int | None = None) -> str:
    """Return an image, uint8 (H, W, C), as lines of 24-bit colour escapes, scaled down if wider than ``columns``.

    ``columns``: by default the width of the terminal.
    """
    width_limit = columns or shutil.get_terminal_size().columns
    picture = to_pillow(image).convert("RGB")
    if picture.width > width_limit:
        picture = picture.resize((width_limit, max(1, picture.height * width_limit // picture.width)))
    pixels = np.asarray(picture)
    if len(pixels) % 2:
        pixels = np.concatenate((pixels, np.zeros_like(pixels[:1])))
    rows = zip(pixels[::2].tolist(), pixels[1::2].tolist(), strict=True)
    return "\n".join("".join(map(_block, upper, lower)) + "\x1b[0m" for upper, lower in rows)


def _block(upper: list[int], lower: list[int]) -> str:
    foreground, background = ";".join(map(str, upper)), ";".join(map(str, lower))
    return f"\x1b[38;2;{foreground}m\x1b[48;2;{background}m▀"
