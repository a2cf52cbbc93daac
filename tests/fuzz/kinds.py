"""The kinds of cases."""

import random
from collections.abc import Callable

from . import graphs, json_files, latents, options, pictures, recipes
from .case import Case
from .command import Played, play

KINDS: dict[str, Callable[[random.Random], Case]] = {
    "json": json_files.draw,
    "graph": graphs.draw,
    "picture": pictures.draw,
    "latents": latents.draw,
    "recipe": recipes.draw,
    "options": options.draw,
}


def case(kind: str, seed: int, index: int) -> Case:
    """Case ``index`` of a kind and a seed."""
    return KINDS[kind](random.Random(f"{kind}:{seed}:{index}"))


def played(kind: str, seed: int, index: int) -> Played:
    """Play case ``index`` of a kind and a seed."""
    return play(case(kind, seed, index))
