"""A progressive JPEG of many scans, written marker by marker: a small file that takes a decoder very long.

A scan that changes nothing costs a few bytes, since one code ends the band of up to 32,767 blocks, and the decoder
visits every block of the picture for it.
"""

from collections.abc import Iterator

_START, _END = b"\xff\xd8", b"\xff\xd9"
_QUANTIZATION, _PROGRESSIVE_FRAME, _HUFFMAN, _SCAN = b"\xff\xdb", b"\xff\xc2", b"\xff\xc4", b"\xff\xda"
_LONGEST_RUN_BITS = 14
_LONGEST_RUN = 2 ** (_LONGEST_RUN_BITS + 1) - 1
_DC, _AC = 0x00, 0x10


def many_scan_jpeg(scans: int, side: int) -> bytes:
    """A grey picture of ``side`` x ``side`` pixels: one scan of the mean values, then ``scans`` of nothing."""
    blocks = (-(-side // 8)) ** 2
    run = _scan(1, 63, "".join(_empty_blocks(blocks)))
    return b"".join((_START, *_tables(side), _scan(0, 0, "0" * blocks), run * scans, _END))


def _tables(side: int) -> Iterator[bytes]:
    size = side.to_bytes(2, "big")
    yield _segment(_QUANTIZATION, b"\0" + bytes([1] * 64))
    yield _segment(_PROGRESSIVE_FRAME, b"\x08" + size + size + b"\x01" + b"\x01\x11\x00")
    yield _segment(_HUFFMAN, _one_code(_DC, 0))
    yield _segment(_HUFFMAN, _one_code(_AC, _LONGEST_RUN_BITS << 4))


def _one_code(table: int, symbol: int) -> bytes:
    """A Huffman table in which the code 0 is ``symbol``."""
    return bytes([table, 1, *[0] * 15, symbol])


def _empty_blocks(count: int) -> Iterator[str]:
    """The bits of the longest runs of empty blocks that cover ``count`` blocks; the decoder ignores what is beyond."""
    for _ in range(-(-count // _LONGEST_RUN)):
        yield "0" + "1" * _LONGEST_RUN_BITS


def _scan(first: int, last: int, bits: str) -> bytes:
    """A scan of the coefficients ``first`` to ``last`` of the only component."""
    header = bytes([1, 1, 0x00, first, last, 0x00])
    padded = bits + "1" * (-len(bits) % 8)
    data = int(padded, 2).to_bytes(len(padded) // 8, "big")
    return _segment(_SCAN, header) + data.replace(b"\xff", b"\xff\0")


def _segment(marker: bytes, contents: bytes) -> bytes:
    return marker + (len(contents) + 2).to_bytes(2, "big") + contents
