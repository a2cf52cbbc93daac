"""PNG files as chunks, and whole pictures."""

import functools
import io
import struct
import zlib
from collections.abc import Sequence

from PIL import Image

Chunk = tuple[bytes, bytes]
"""A PNG chunk's type and contents; its length and checksum follow from them."""
_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunks_of(data: bytes) -> list[Chunk]:
    """The chunks of a whole PNG file."""
    found, at = [], len(_SIGNATURE)
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        found.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def joined_chunks(chunks: Sequence[Chunk]) -> bytes:
    """A PNG file of chunks, with right lengths and checksums."""
    parts = (
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    return _SIGNATURE + b"".join(parts)


def text_chunk(key: bytes, text: bytes, *, packed: bool = False) -> Chunk:
    """An international text chunk."""
    return b"iTXt", key + b"\x00" + bytes([packed]) + b"\x00\x00\x00" + (zlib.compress(text) if packed else text)


@functools.cache
def whole_png(mode: str, size: tuple[int, int]) -> bytes:
    """A picture with a gradient."""
    return drawn(mode, "PNG", size)


@functools.cache
def drawn(mode: str, form: str, size: tuple[int, int]) -> bytes:
    """A gradient as a file; no picture where the form does not know the mode."""
    buffer = io.BytesIO()
    try:
        image = Image.linear_gradient("L").resize(size).convert(mode)
        image.save(buffer, form)
    except (OSError, ValueError, KeyError):
        return b"GIF89a"
    return buffer.getvalue()
