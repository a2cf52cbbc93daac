"""The kinds of cases: how each is drawn, and how it is played."""

import contextlib
import random
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from . import bodies, command, graphs, http, infers, json_files, latents, options, pictures, recipes
from .played import Played

Play = Callable[[Any], Played]


class Kind(NamedTuple):
    """``draw`` makes a case; ``player`` yields the function that plays one."""

    draw: Callable[[random.Random], Any]
    player: Callable[[], contextlib.AbstractContextManager[Play]]


@contextlib.contextmanager
def _command_line() -> Iterator[Play]:
    yield command.play


KINDS: dict[str, Kind] = {
    "json": Kind(json_files.draw, _command_line),
    "graph": Kind(graphs.draw, _command_line),
    "picture": Kind(pictures.draw, _command_line),
    "latents": Kind(latents.draw, _command_line),
    "recipe": Kind(recipes.draw, _command_line),
    "options": Kind(options.draw, _command_line),
    "http": Kind(bodies.draw, http.server),
    "infer": Kind(infers.draw, http.server),
}


def case(kind: str, seed: int, index: int) -> Any:
    """Case ``index`` of a kind and a seed: always the same."""
    return KINDS[kind].draw(random.Random(f"{kind}:{seed}:{index}"))
