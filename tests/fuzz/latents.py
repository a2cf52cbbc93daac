"""Latents files (.npz): headers, contents and the zip archive damaged."""

import functools
import io
import json
import random
import struct
import zipfile
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from . import base_bundles
from .base_bundles import BUNDLE
from .case import Case, File, special
from .command import made_by
from .png import whole_png
from .values import changed, damaged_bytes

_SHAPES = (
    "(1, 1, 8, 8)", "(100000, 1, 8, 8)", "(1099511627776,)", "(-1, 1, 8, 8)", "()", "(0, 1, 8, 8)", "(1, 1, 8, 8.5)",
    "(1,) * 9", "[1]", "(1, 1, 8, 9)", "(4611686018427387904, 4)", "((((1,),),),)", "(1, 8, 8)", "(" * 3000, "None",
    "(True, 1, 8, 8)",
)  # fmt: skip
_TYPES = (
    "<f4",
    "<f8",
    "|O",
    "<c8",
    "|V4",
    "<U5",
    "<i8",
    ">f4",
    "<f2",
    "|b1",
    "<M8[s]",
    "<U1000000",
    "x" * 5000,
    "<f99",
    "",
)


def draw(generator: random.Random) -> Case:
    """A run that starts from a damaged latents file."""
    files = base_bundles.in_bundle(base_bundles.classes()) | {"a.npz": latents(generator)}
    return Case(("run", BUNDLE, "--latents", "../in/a.npz", "-s", "2", "-o", "x.png"), files)


def latents(generator: random.Random) -> File:
    """A damaged latents file, or what is no file."""
    kind = generator.random()
    if kind < 0.03:
        return special(generator)
    if kind < 0.15:
        return damaged_bytes(generator, _whole())
    members = dict(_members())
    for _ in range(generator.choice([1, 1, 2])):
        _change(generator, members)
    data = _zipped(members, generator.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))
    return _lied(generator, data) if generator.random() < 0.1 else data


def _change(generator: random.Random, members: dict[str, bytes]) -> None:
    """Change one member of the archive."""
    name = generator.choice(["latents.npy", "latents.npy", "recipe.npy", "alpha_bar.npy"])
    kind = generator.randrange(6)
    if kind == 0:
        members.pop(name, None)
    elif kind == 1:
        members[name] = damaged_bytes(generator, members.get(name, b""))
    elif kind == 2:
        members[name] = _array(
            generator.choice(_TYPES), generator.choice(_SHAPES), bytes(generator.choice([0, 256, 10**7]))
        )
    elif kind == 3:
        recipe = changed(generator, json.loads(str(np.load(io.BytesIO(_members()["recipe.npy"])))))
        members["recipe.npy"] = _saved(np.array(json.dumps(recipe)))
    elif kind == 4:
        members["latents.npy"] = _array("<f4", generator.choice(_SHAPES), generator.choice([bytes(256), b"\xff" * 256]))
    else:
        members[generator.choice(["../../evil.npy", "/evil.npy", "x" * 5000, "latents"])] = bytes(8)


def _array(kind: str, shape: str, contents: bytes) -> bytes:
    """A .npy file with any header."""
    header = f"{{'descr': {kind!r}, 'fortran_order': False, 'shape': {shape}, }}\n".encode("latin-1", "replace")
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", min(len(header), 65535)) + header + contents


def _lied(generator: random.Random, data: bytes) -> bytes:
    """An archive whose directory says other sizes than there are."""
    at = data.find(b"PK\x01\x02")
    size = struct.pack("<I", generator.choice([0, 1, 2**31, 2**32 - 1]))
    place = at + generator.choice([16, 20, 24, 42])
    return data[:place] + size + data[place + 4 :]


@functools.cache
def _whole() -> bytes:
    """What ``encode`` makes of a picture."""
    files = base_bundles.in_bundle(base_bundles.classes()) | {"a.png": whole_png("L", (8, 8))}
    return made_by(Case(("encode", "../in/a.png", "-m", BUNDLE, "-s", "2", "-o", "x.npz"), files))["x.npz"]


@functools.cache
def _members() -> Mapping[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(_whole())) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _zipped(members: Mapping[str, bytes], method: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, method)  # not with the date of now
    return buffer.getvalue()


def _saved(array: NDArray[np.str_]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()
