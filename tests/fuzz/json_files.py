"""JSON files of bundles, damaged one or two at a time."""

import json
import random

from . import base_bundles
from .base_bundles import Files, run_or_inspect
from .case import Case, File, special
from .values import damaged_json

_SPECIAL = 0.03


def draw(generator: random.Random) -> Case:
    """A bundle with a damaged JSON file, run or inspected."""
    is_text = generator.random() < 0.6
    whole = base_bundles.text_to_image() if is_text else base_bundles.classes()
    files: dict[str, File] = dict(whole)
    for name in generator.sample([name for name in whole if name.endswith(".json")], generator.choice([1, 1, 2])):
        files[name] = damaged(generator, name, whole)
    return Case(run_or_inspect(generator, is_text), base_bundles.in_bundle(files))


def damaged(generator: random.Random, name: str, whole: Files) -> File:
    """A damaged JSON file, or what is no file."""
    if generator.random() < _SPECIAL:
        return special(generator)
    value = json.loads(whole[name])
    if name == "tokenizer/tokenizer.json" and generator.random() < 0.5:
        value = value["model"]  # the vocabulary, which is where most of it is
    return damaged_json(generator, value)
