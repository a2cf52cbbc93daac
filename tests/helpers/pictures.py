"""Hostile pictures."""

import io

from PIL import Image

from tests.fuzz.png import chunks_of, joined_chunks

_SCAN = 0xDA


def many_scans(count: int, side: int = 8) -> bytes:
    """A progressive grey JPEG with ``count`` scans, about 35 bytes each; each is a pass over all pixels."""
    buffer = io.BytesIO()
    Image.new("L", (side, side), 128).save(buffer, "JPEG", progressive=True)
    contents = buffer.getvalue()
    scans = [start for start in range(len(contents)) if contents[start : start + 2] == bytes((0xFF, _SCAN))]
    end = contents.index(b"\xff\xd9", scans[-1])
    return contents[:end] + contents[scans[-1] : end] * (count - len(scans)) + contents[end:]


def too_long_palette() -> bytes:
    """A PNG file with more transparent colours than a palette has."""
    buffer = io.BytesIO()
    Image.new("P", (8, 8)).save(buffer, "PNG")
    head, *others = chunks_of(buffer.getvalue())
    at = 1 + [kind for kind, _ in others].index(b"PLTE")
    return joined_chunks([head, *others[:at], (b"tRNS", bytes(300)), *others[at:]])
