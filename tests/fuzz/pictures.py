"""Pictures: PNG files damaged chunk by chunk, and files of other formats."""

import random
import struct
import zlib

from .base_bundles import BUNDLE, classes, in_bundle
from .case import Case, File, special
from .png import Chunk, chunks_of, drawn, joined_chunks, text_chunk, whole_png
from .values import ODD_TEXTS, damaged_bytes

MODES = ("L", "RGB", "RGBA", "P", "1", "LA", "I;16", "F", "CMYK", "LAB", "YCbCr", "HSV", "I")
FORMATS = ("PNG", "TIFF", "GIF", "WEBP", "JPEG", "BMP", "PPM", "ICO", "TGA", "EPS", "PDF", "PCX", "SGI", "JPEG2000")
_SIDES = (0, 1, 7, 65_535, 200_000, 2**31 - 1, 2**32 - 1)
_TEXT_BOMB = 8 * 2**20
_PICTURES = (
    b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n(/tmp/fuzz-ps) (w) file closefile showpage\n%%EOF\n",
    b"P6 100000 100000 255\n", b"P6 8 8 65535\n" + bytes(384), b"P5 8 8 255\n" + bytes(10), b"P3 2 2 255\n1 2 x",
    b"GIF89a\xff\xff\xff\xff\x00\x00\x00,\x00\x00\x00\x00\xff\xff\xff\xff\x00\x02\x02D\x01\x00;",
    b"BM" + struct.pack("<IHHIIiiHH", 100, 0, 0, 54, 40, 50_000, -50_000, 1, 24) + bytes(60), b"",
    b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
    b"RIFF\xff\xff\xff\xffWEBPVP8X", b"\x00\x00\x00\x0cjP  \r\n\x87\n" + bytes(40), b"8BPS" + bytes(30),
    b"\xff\xd8\xff\xe0" + b"\xff" * 500, b"SIMPLE  =                    T", b"#!/bin/sh\n", b"%PDF-1.4\n",
    b"\xff\xd8" + b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" * 2000,
)  # fmt: skip


def draw(generator: random.Random) -> Case:
    """A command that reads one or two pictures, of the plain model of classes."""
    files = in_bundle(dict(classes())) | {"a.png": picture(generator), "b.png": picture(generator)}
    first = ("--init-image", "../in/a.png", "-n", "1", "-s", "2")
    commands = [
        ("run", BUNDLE, *first, "-o", "x.png"),
        ("run", BUNDLE, *first, "--mask", "../in/b.png", "-o", "x.png"),
        ("encode", "../in/a.png", "../in/b.png", "-m", BUNDLE, "-s", "2", "-o", "x.npz"),
        ("run", "--from-image", "../in/a.png", "-o", "x.png"),
        ("interpolate", "../in/a.png", "../in/b.png", "-m", BUNDLE, "-s", "2", "-n", "3", "-o", "x.png"),
    ]
    return Case(generator.choice(commands), files)


def picture(generator: random.Random) -> File:
    """A picture file, or what is no file."""
    if generator.random() < 0.03:
        return special(generator)
    return picture_bytes(generator)


def picture_bytes(generator: random.Random) -> bytes:
    """A picture, whole or damaged; in a format that the project reads, or another one."""
    kind = generator.random()
    if kind < 0.5:
        return damaged_png(generator, whole_png(generator.choice(["L", "RGB", "RGBA", "P", "I;16", "LA"]), (8, 8)))
    if kind < 0.6:
        return generator.choice(_PICTURES)
    size = generator.choice([(8, 8), (1, 1), (3, 90), (300, 200)])
    data = drawn(generator.choice(MODES), generator.choice(FORMATS), size)
    return damaged_bytes(generator, data) if generator.random() < 0.5 else data


def damaged_png(generator: random.Random, data: bytes) -> bytes:
    """A PNG file with one to three chunks changed, added, moved or taken away, or broken as bytes."""
    chunks = [*chunks_of(data)]
    for _ in range(generator.randint(0, 3)):
        chunks = generator.choice(_CHANGES)(generator, chunks)
    joined = joined_chunks(chunks)
    if generator.random() < 0.2:
        joined = damaged_bytes(generator, joined)
    if joined and generator.random() < 0.1:
        at = generator.randrange(len(joined))
        joined = joined[:at] + bytes([joined[at] ^ 1]) + joined[at + 1 :]  # mostly a wrong checksum
    return joined


def _header(generator: random.Random, chunks: list[Chunk]) -> list[Chunk]:
    """Sides, depth, colour type or interlacing of the header changed."""
    width, height = generator.choice(_SIDES), generator.choice([8, *_SIDES])
    rest = [generator.choice([8, 1, 16, 3]), generator.choice([0, 2, 3, 4, 6, 9]), 0, 0, generator.choice([0, 1, 2])]
    return [(b"IHDR", struct.pack(">II5B", width, height, *rest)), *chunks[1:]]


def _bomb(generator: random.Random, chunks: list[Chunk]) -> list[Chunk]:
    """A text or a colour profile that is much larger when it is unpacked."""
    large = zlib.compress(bytes(_TEXT_BOMB))
    kind, head = generator.choice(
        [(b"zTXt", b"ddim-edge\x00\x00"), (b"iCCP", b"icc\x00\x00"), (b"iTXt", b"ddim-edge\x00\x01\x00\x00\x00")]
    )
    return [chunks[0], *[(kind, head + large)] * generator.choice([1, 1, 20]), *chunks[1:]]


def _texts(generator: random.Random, chunks: list[Chunk]) -> list[Chunk]:
    """Texts, of the recipe's key and others."""
    text = generator.choice(ODD_TEXTS).encode("utf-8", "surrogatepass")
    key = generator.choice([b"ddim-edge", b"Comment", b"", b"k" * 100])
    odd = [
        (b"tEXt", key + b"\x00" + text),
        (b"tEXt", key),
        text_chunk(key, text),
        (b"eXIf", text),
        (b"eXIf", b"MM\x00*\x00\x00\x00\x08\xff\xff"),
    ]
    return [chunks[0], generator.choice(odd), *chunks[1:]]


def _data(generator: random.Random, chunks: list[Chunk]) -> list[Chunk]:
    """Pixels that are too many, too few, or not packed."""
    body = generator.choice(
        [zlib.compress(bytes(10**6)), zlib.compress(b"\x09" * 300), b"", b"\x00" * 40, zlib.compress(b"")]
    )
    return [(kind, body if kind == b"IDAT" else old) for kind, old in chunks]


def _moved(generator: random.Random, chunks: list[Chunk]) -> list[Chunk]:
    return generator.sample(chunks, len(chunks))


def _fewer(generator: random.Random, chunks: list[Chunk]) -> list[Chunk]:
    gone = generator.randrange(len(chunks)) if chunks else 0
    return chunks[:gone] + chunks[gone + 1 :] or [(b"IEND", b"")]


def _more(generator: random.Random, chunks: list[Chunk]) -> list[Chunk]:
    """A chunk twice, an unknown one, or an animation's."""
    odd = [generator.choice(chunks), (b"acTL", struct.pack(">II", 10**6, 0)), (b"PLTE", bytes(7)), (b"abcD", b""),
           (b"ABCD", b"x"), (b"tRNS", bytes(300)), (b"fcTL", bytes(26)), (b"\xff\x00\x00\x00", b"")]  # fmt: skip
    at = generator.randrange(len(chunks) + 1)
    return [*chunks[:at], generator.choice(odd), *chunks[at:]]


_CHANGES = (_header, _bomb, _texts, _data, _moved, _fewer, _more)
