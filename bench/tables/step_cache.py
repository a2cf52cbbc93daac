"""The table of ``bench.step_cache``."""

import math

from ..results import Record
from ..step_cache.rivals import rival
from .markdown import as_lines

_WHAT = {
    "fashion-mnist": ("the bundled model, without guidance", "Fréchet distance", "labels right"),
    "emoji": ("the emoji model, guidance 3", "RMS to the name's own picture, of 255", "own picture nearest"),
}


def step_cache(record: Record) -> str:
    """One table a model."""
    return "\n\n".join(_table(name, model) for name, model in record["models"].items())


def _table(name: str, model: Record) -> str:
    title, distance, right = _WHAT[name]
    plain = [cell for cell in model["cells"] if cell["cache"] is None]
    header = f"sampler, steps | cache | whole calls | ms an image | {distance} | {right} | plain, same time | better"
    lines = [_line(cell, plain) for cell in model["cells"]]
    return f"{title[0].upper()}{title[1:]}, {model['images']} images a row:\n\n{as_lines(header, lines)}"


def _line(cell: Record, plain: list[Record]) -> str:
    threshold = "" if cell["threshold"] is None else f", threshold {cell['threshold']:g}"
    texts = [
        f"{cell['sampler']}, {cell['num_steps']}",
        (cell["cache"] or "") + threshold,
        f"{cell['whole']:.3g}",
        f"{1000 * cell['seconds']:.1f}",
        f"{cell['distance']:.4g}",
        f"{cell['right']:.1%}",
    ]
    return " | ".join([*texts, *(_beside(cell, plain) if cell["cache"] else ("", ""))])


def _beside(cell: Record, plain: list[Record]) -> tuple[str, str]:
    """What plain steps reach in the same time, and which is better."""
    other = rival(plain, cell["seconds"])
    if math.isnan(other):
        return "", "cache: no plain run is as fast"
    return f"{other:.4g}", "cache" if cell["distance"] < other else "plain"
