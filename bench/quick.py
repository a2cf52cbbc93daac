"""``python -m bench.quick``: a few ratios in about two minutes; exit code 1 where one is worse than bench/quick.toml.

Each side counts with its least seconds, since other programs can only make it slower.
"""

import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import click
from rich.console import Console

from ddim_edge.benchmark.rounds import Notify
from ddim_edge.bundle.read import open_bundle

from .harness import column, interleaved, workers
from .results import BENCH
from .speed import Subject, overhead, startup, worker

BOUNDS = BENCH / "quick.toml"
MODEL = "fashion-mnist"
NUM_STEPS = 20
RUNS, ROUNDS = 9, 3


@click.command()
def main() -> None:
    """Measure the ratios of bench/quick.toml, one line each."""
    subject = Subject(open_bundle(MODEL).folder.resolve())
    with Console(stderr=True).status("") as status:
        found = measure(subject, lambda text: status.update(text))
    lines = verdicts(found, tomllib.loads(BOUNDS.read_text()))
    click.echo("\n".join(lines))
    sys.exit(1 if any(line.startswith("FAIL") for line in lines) else 0)


def measure(subject: Subject, notify: Notify) -> dict[str, float]:
    """All ratios, by the names that the bounds have."""
    with tempfile.TemporaryDirectory() as folder:
        process = _processes(subject, Path(folder), notify)
    batch = _batches(subject, notify)
    return {
        "host time, share of a run of 50 steps": overhead.row(subject, overhead.CASES[0], RUNS, notify)["range"][0],
        "import ddim_edge, to import numpy": process["import ddim_edge"] / process["import numpy"],
        "ddim-edge --help, to python -c pass": process["help"] / process["pass"],
        "an image with torch, to ours": batch["eager"] / batch["ours"],
        "the first image of a process with diffusers, to ours": process["diffusers"] / process["ours"],
    }


def _processes(subject: Subject, folder: Path, notify: Notify) -> dict[str, float]:
    """The least seconds of commands, each from the start of its process to the end."""
    commands: dict[str, Sequence[str]] = {
        **{code: [sys.executable, "-c", code] for code in ("pass", "import numpy", "import ddim_edge")},
        "help": [*startup.entry_point(), "--help"],
        **startup.commands(subject, folder),
    }
    measures = {name: partial(startup.run_command, command) for name, command in commands.items()}
    return _least(column(interleaved(measures, ROUNDS, notify, warm_up=1), "seconds"))


def _batches(subject: Subject, notify: Notify) -> dict[str, float]:
    """The least seconds of an image with ddim-edge and with diffusers, each in a process of its own."""
    settings = {kind: worker.settings_of(kind, subject, 1, NUM_STEPS) for kind in ("ours", "eager")}
    with workers(worker.MODULE, settings) as measures:
        return _least(column(interleaved(measures, RUNS, notify), "seconds"))


def _least(taken: Mapping[str, Sequence[float]]) -> dict[str, float]:
    return {side: min(seconds) for side, seconds in taken.items()}


def verdicts(found: Mapping[str, float], bounds: Mapping[str, Mapping[str, float]]) -> list[str]:
    """One line per bound; it begins with FAIL where the figure is worse."""
    checks = [(name, bound, "at most", found[name] <= bound) for name, bound in bounds["at_most"].items()]
    checks += [(name, bound, "at least", found[name] >= bound) for name, bound in bounds["at_least"].items()]
    words = {True: "ok  ", False: "FAIL"}
    return [f"{words[good]} {name}: {found[name]:.3g} ({which} {bound:g})" for name, bound, which, good in checks]


if __name__ == "__main__":
    main()
