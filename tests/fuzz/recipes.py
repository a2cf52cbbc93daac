"""Recipes: those inside PNG files, and the ``run.json`` of a folder whose run is resumed."""

import functools
import json
import random
import zlib
from pathlib import Path
from typing import Any

from . import base_bundles
from .base_bundles import BUNDLE, Files, run_options
from .case import OUTPUTS, Case, File, special
from .command import made_by
from .png import Chunk, chunks_of, joined_chunks, text_chunk
from .values import damaged_json

_IMAGE = "000000.png"
_RUN = "run.json"


def draw(generator: random.Random) -> Case:
    """Images made again from a damaged recipe, or a run resumed in a damaged folder."""
    is_text = generator.random() < 0.4
    bundle = base_bundles.in_bundle(base_bundles.text_to_image() if is_text else base_bundles.classes())
    made = made_files(is_text=is_text)
    if generator.random() < 0.75:
        controls = ("--control-image", "../in/control.png") if is_text else ()
        files = bundle | {"a.png": with_recipe(generator, made[_IMAGE])}
        return Case(("run", "--from-image", "../in/a.png", *controls, "-o", "x.png"), files)
    right = {f"images/{name}": data for name, data in made.items()}
    return Case(
        ("run", BUNDLE, *run_options(is_text), "-o", "images/"), bundle | _damaged_folder(generator, made), right=right
    )


def with_recipe(generator: random.Random, png: bytes) -> bytes:
    """A PNG file whose recipe is damaged, in any of the three kinds of text chunk."""
    kept = [chunk for chunk in chunks_of(png) if chunk[0] != b"iTXt"]
    text = damaged_json(generator, recipe_in(png))
    key = b"ddim-edge"
    ways: list[Chunk] = [
        text_chunk(key, text),
        text_chunk(key, text),
        text_chunk(key, text, packed=True),
        (b"tEXt", key + b"\x00" + text),
        (b"zTXt", key + b"\x00\x00" + zlib.compress(text)),
    ]
    at = generator.choice([1, len(kept) - 1])
    return joined_chunks([*kept[:at], generator.choice(ways), *kept[at:]])


def recipe_in(png: bytes) -> Any:
    """The recipe of a PNG file that was just made."""
    (text,) = (body for kind, body in chunks_of(png) if kind == b"iTXt")
    return json.loads(text.partition(b"\x00\x00\x00\x00\x00")[2])


def _damaged_folder(generator: random.Random, made: Files) -> dict[str, File]:
    """The folder of a run with one file damaged, missing, or no file."""
    files: dict[str, File] = {f"{OUTPUTS}/images/{name}": data for name, data in made.items()}
    name = f"{OUTPUTS}/images/{generator.choice([_RUN, _RUN, _IMAGE])}"
    kind = generator.random()
    if kind < 0.1:
        del files[name]
    elif kind < 0.2:
        files[name] = special(generator)
    elif name.endswith(_RUN):
        files[name] = damaged_json(generator, json.loads(made[_RUN]))
    else:
        files[name] = made[_IMAGE][: generator.randrange(len(made[_IMAGE]))]  # a run that was killed
    return files


@functools.cache
def made_files(*, is_text: bool = False) -> Files:
    """What a run of one of the whole bundles writes to a folder."""
    bundle = base_bundles.text_to_image() if is_text else base_bundles.classes()
    whole = Case(("run", BUNDLE, *run_options(is_text), "-o", "images/"), base_bundles.in_bundle(bundle))
    return {Path(name).name: data for name, data in made_by(whole).items()}
