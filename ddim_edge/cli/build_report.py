"""The output of ``ddim-edge build``: progress, summary, and the list of the cache."""

import dataclasses
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

from ..build.run import Progress
from ..runtime.compiled.choice import Choice
from ..runtime.compiled.entry import Compiled
from ..runtime.compiled.messages import shapes_text
from ..runtime.compiled.recipe import Recipe, component_of
from ..runtime.compiled.upkeep import Entry
from ..runtime.providers.table import AUTO
from .device_options import auto_option


def show_progress(progress: Iterable[Progress], *, quiet: bool) -> Iterator[Progress]:
    """Yield the finished parts. Progress is printed on stderr, on a terminal in a line that is updated."""
    console = Console(stderr=True, quiet=quiet)
    with Live(console=console, transient=True, auto_refresh=False) as line:
        last = 0
        for now in progress:
            if now.compiled is not None:
                for line_of_end in filter(None, (_end(now), now.remark)):
                    console.print(line_of_end, highlight=False, markup=False, soft_wrap=True)
                yield now
            elif console.is_terminal:
                line.update(Text(f"{_part(now)}: {duration(now.elapsed)}{_left(now.left)}"), refresh=True)
            elif now.number != last:
                text = f"{_part(now)}: building{_left(now.left)}"
                console.print(text, highlight=False, markup=False, soft_wrap=True)
            last = now.number


def summary(cache: Path, done: Sequence[Progress]) -> str:
    """The result of a build in one line."""
    built = [end.compiled.size for end in done if end.compiled and not end.skipped]
    skipped = len(done) - len(built)
    there = f"; {skipped} {'was' if skipped == 1 else 'were'} built already" if skipped else ""
    return f"{cache}: {len(built)} built, {megabytes(sum(built))}{there}"


def build_json(cache: Path, done: Sequence[Progress]) -> str:
    """The result of a build as JSON."""
    parts = [
        {**compiled_facts(end.compiled), "skipped": end.skipped, "remark": end.remark} for end in done if end.compiled
    ]
    return json.dumps({"cache": str(cache), "parts": parts})


def compiled_facts(compiled: Compiled) -> dict[str, Any]:
    """What was built, for JSON."""
    recipe = compiled.recipe
    return {
        "folder": str(compiled.folder),
        "provider": recipe.provider,
        "component": recipe.component,
        "graph": str(recipe.graph),
        "shapes": {name: list(shape) for name, shape in recipe.shapes.items()},
        "precision": recipe.precision,
        "workspace": recipe.workspace,
        "options": dict(recipe.options),
        "machine": recipe.machine.to_json(),
        "seconds": compiled.seconds,
        "bytes": compiled.size,
        "date": compiled.date,
    }


def entry_facts(entry: Entry) -> dict[str, Any]:
    """An entry of the cache, for JSON; ``fault`` is None where it is of use."""
    known = compiled_facts(entry.compiled) if entry.compiled else {"folder": str(entry.folder)}
    if entry.choice is not None:
        known |= choice_facts(entry.choice)
    return {**known, "bytes": entry.size, "fault": entry.fault}


def entry_text(entry: Entry) -> str:
    head = f"{entry.folder}  {megabytes(entry.size)}"
    if entry.choice is not None:
        head += f"\n  {choice_text(entry.choice)}, measured {entry.choice.date} of {entry.choice.graph}"
    if entry.compiled is not None:
        built = entry.compiled
        head += f"\n  {_what(built.recipe)}, for {built.recipe.machine.device}"
        head += f"\n  built {built.date} of {built.recipe.graph}"
    return f"{head}\n  of no use: {entry.fault}" if entry.fault else head


def choice_facts(choice: Choice) -> dict[str, Any]:
    """What was measured of a graph, for JSON."""
    best = choice.best(choice.precision)
    return {
        "provider": AUTO,
        "component": component_of(choice.graph),
        "graph": str(choice.graph),
        "precision": choice.precision,
        "takes": best and dataclasses.asdict(best),
        "measured": [dataclasses.asdict(row) for row in choice.rows],
        "date": choice.date,
    }


def choice_text(choice: Choice) -> str:
    """What ``--provider auto`` takes by a measurement, as text."""
    best = choice.best(choice.precision)
    return f"{auto_option(choice.precision)} takes {best.name if best else 'nothing'} for {component_of(choice.graph)}"


def megabytes(size: float) -> str:
    return f"{size / 1e6:.1f} MB"


def duration(seconds: float) -> str:
    """For instance 4.2 s, 3 min 20 s, or 1 h 5 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes_of_hour = divmod(minutes, 60)
    return f"{hours} h {minutes_of_hour} min" if hours else f"{minutes} min {rest} s"


def _end(progress: Progress) -> str:
    assert progress.compiled is not None
    if progress.skipped:
        return f"{_part(progress)}: built already"
    size = megabytes(progress.compiled.size)
    return f"{_part(progress)}: built in {duration(progress.elapsed)}, {size}{_left(progress.left)}"


def _part(progress: Progress) -> str:
    return f"{progress.number} of {progress.total}, {_what(progress.recipe)}"


def _what(recipe: Recipe) -> str:
    precision = f" in {recipe.precision}" if recipe.precision else ""
    first = dict([*recipe.shapes.items()][:1])
    return f"{recipe.component}{precision}{f' for {shapes_text(first)}' if first else ''}"


def _left(seconds: float | None) -> str:
    if seconds is None:
        return "; time left not known yet"
    return f"; about {duration(seconds)} left" if seconds else ""
