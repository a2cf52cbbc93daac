"""``ddim-edge build --provider auto``: measures what is installed, keeps what is best here for a model."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from ..benchmark.candidates import candidates
from ..benchmark.choose import measure
from ..build.plan import BuildRequest
from ..bundle.bundle import Bundle
from ..errors import ConfigError, ProviderError
from ..networks.components import unet_graph
from ..runtime.compiled.choice import write_choice
from ..runtime.compiled.measured import ALLOWED, GUIDED, SINGLE, Measured, fastest
from ..runtime.compiled.store import SourceGraph
from ..runtime.compiled.upkeep import locked
from ..runtime.providers.precision import FLOAT32
from .device_options import auto_option

_KINDS = {SINGLE: "1 image", GUIDED: "guided"}
_GAP = "  "
_NONE = "–"


def check_auto(precision: str, given: Mapping[str, Any]) -> None:
    """Raise ConfigError for an option that has no meaning where the provider is measured."""
    if precision not in ALLOWED:
        raise ConfigError(f"--precision {precision} is TensorRT's alone: use --provider tensorrt, or leave it out")
    for option in (option for option, value in given.items() if value):
        raise ConfigError(f"{option} does not apply to --provider auto, which measures single images: leave it out")


def measured(bundle: Bundle, precision: str, request: BuildRequest, *, quiet: bool) -> list[Measured]:
    """What is installed here, measured. Raises ProviderError where none of it runs the model."""
    with Console(stderr=True, quiet=quiet).status("") as status:
        found = measure(bundle, candidates(precision), request, status.update)
    if fastest(found, precision) is None:
        reasons = "; ".join(f"{row.name}: {row.reason}" for row in found)
        raise ProviderError(f"nothing that is installed here runs {bundle.name}: {reasons}")
    return found


def keep(bundle: Bundle, cache: Path, precision: str, rows: Sequence[Measured]) -> Path:
    """Write what was measured into ``cache``, where ``--provider auto`` finds it; returns its folder."""
    graph = unet_graph(bundle).absolute()
    with locked(cache):
        return write_choice(cache, graph, SourceGraph(graph).sha256, precision, rows)


def auto_text(bundle: Bundle, rows: Sequence[Measured], precision: str, *, kept: bool) -> str:
    """The table, a line per device, then the reasons why some are not taken, and which one is by --precision."""
    kinds = [kind for kind in _KINDS if any(kind in row.seconds for row in rows)]
    head = ("provider", "precision", "threads", *(f"{_KINDS[kind]}, ms" for kind in kinds), "difference")
    lines = _aligned([head, *(_cells(row, kinds) for row in rows)])
    reasons = [f"{row.name}: {row.reason}" for row in rows if row.reason]
    verb = "takes" if kept else "would take"
    taken = {name: fastest(rows, name) for name in dict.fromkeys((FLOAT32, precision))}
    ends = [f"{auto_option(name)} {verb} {row.name} for {bundle.name}" for name, row in taken.items() if row]
    return "\n".join([*lines, *reasons, *ends])


def auto_json(rows: Sequence[Measured], best: Measured, folder: Path | None) -> str:
    """The same for --json; ``folder`` is where it is kept."""
    facts = {"measured": [dataclasses.asdict(row) for row in rows], "takes": dataclasses.asdict(best)}
    return json.dumps({**facts, "kept": folder and str(folder)})


def _cells(row: Measured, kinds: Sequence[str]) -> tuple[str, ...]:
    times = (f"{1000 * row.seconds[kind]:#.3g}".rstrip(".") if kind in row.seconds else _NONE for kind in kinds)
    difference = _NONE if row.difference is None else f"{row.difference:.1e}"
    return (row.place, row.precision, str(row.threads or "default"), *times, difference)


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines with columns of equal width: text on the left, from the third column on on the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        _GAP.join(cell.ljust(width) if place < 2 else cell.rjust(width) for place, (cell, width) in enumerate(pairs))
        for pairs in (list(zip(row, widths, strict=True)) for row in rows)
    ]
