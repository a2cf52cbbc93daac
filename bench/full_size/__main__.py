"""``python -m bench.full_size``: makes the models, runs every side, renders the table."""

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from .. import tables
from ..results import ROOT
from ..tables.full_size import full_size, full_size_caches
from . import things
from .runs import Run, carry_out, environment, keep, needs_of, seconds_of
from .sides import ALL_SIDES, CACHED_SIDES, QUICK, SIDES
from .summary import summarize, summarize_caches
from .workloads import WORKLOADS

CACHES = (*CACHED_SIDES, *(side.plain for side in CACHED_SIDES.values() if side.plain))
"""The sides of ``--caches``: with a step cache, and without."""
PACKAGES = ("ddim-edge", "numpy", "onnxruntime", "openvino", "torch", "diffusers", "transformers")


class _Names(click.ParamType[tuple[str, ...]]):
    """Names with commas between them, each one of some."""

    name = "NAME,…"

    def __init__(self, known: Iterable[str]) -> None:
        self._known = tuple(known)

    def convert(self, value: str, parameter: click.Parameter | None, context: click.Context | None) -> tuple[str, ...]:
        names = tuple(dict.fromkeys(value.split(",")))
        for name in names:
            if name not in self._known:
                self.fail(f"{name} is none of {', '.join(self._known)}", parameter, context)
        return names


@click.command()
@click.option(
    "--work",
    type=click.Path(path_type=Path, file_okay=False),
    default=ROOT / "runs" / "full-size",
    help="Where models, environments and runs are kept.  [default: runs/full-size]",
)
@click.option("--sides", type=_Names(ALL_SIDES), help="Measure these only.  [default: all]")
@click.option("--workloads", type=_Names(WORKLOADS), help="Measure these only.  [default: all]")
@click.option("--only", type=_Names(ALL_SIDES), help="Measure these only, and again where they were measured.")
@click.option("--again", is_flag=True, help="Measure again what was measured.")
@click.option("--rounds", default=1, help="Runs of each, interleaved.", show_default=True)
@click.option("--quick", is_flag=True, help="One step of the five most important sides.")
@click.option("--caches", is_flag=True, help="20 steps with a step cache, beside those without: a table of its own.")
def main(
    work: Path,
    sides: tuple[str, ...] | None,
    workloads: tuple[str, ...] | None,
    only: tuple[str, ...] | None,
    again: bool,
    rounds: int,
    quick: bool,
    caches: bool,
) -> None:
    """Measure every side in processes of their own, interleaved; continue what was interrupted.

    \b
    python -m bench.full_size --quick                 # the most important: about ten minutes
    python -m bench.full_size                         # everything
    python -m bench.full_size --sides ours,diffusers  # these two
    python -m bench.full_size --only genai            # one again
    python -m bench.full_size --caches                # step caches
    """
    work = work.absolute()
    work.mkdir(parents=True, exist_ok=True)
    chosen = only or sides or (CACHES if caches else QUICK if quick else tuple(SIDES))
    asked = workloads or (("sd-20",) if caches else ("sd-1",) if quick else tuple(WORKLOADS))
    runs = planned(chosen, asked, rounds)
    if again or only:
        for run in runs:
            shutil.rmtree(run.folder(work), ignore_errors=True)
    runs = _prepared([run for run in runs if not run.is_made(work)], work)
    _say(f"{len(runs)} runs, about {_minutes(runs):.0f} minutes")
    subject, summary, table = (
        ("full_size_caches", summarize_caches, full_size_caches) if caches else ("full_size", summarize, full_size)
    )
    tables.publish(subject, summary(work), PACKAGES)
    for run in runs:
        record = carry_out(run, work)
        _say(f"{run.workload} {run.side}: {record}")
        tables.publish(subject, summary(work), PACKAGES)
    click.echo(table(summary(work)))


def planned(sides: Sequence[str], workloads: Sequence[str], rounds: int) -> list[Run]:
    """The runs in their order: one workload after the other, round by round, side by side."""
    order = [(workload, number) for workload in WORKLOADS if workload in workloads for number in range(rounds)]
    return [
        Run(name, workload, number)
        for workload, number in order
        for name in ALL_SIDES
        if name in sides and workload in ALL_SIDES[name].workloads
    ]


def _prepared(runs: Sequence[Run], work: Path) -> list[Run]:
    """Make what the runs need. Returns those that can be made; the others have the reason as their record."""
    names = things.missing([name for run in runs for name in needs_of(run)], work)
    try:
        things.check_disk(names, work)
    except things.NotMadeError as error:
        raise click.ClickException(str(error)) from None
    failed = things.make_all(names, work, environment(work), _say)
    for run in runs:
        reasons = [failed[name] for name in things.all_needed(needs_of(run)) if name in failed]
        if reasons:
            keep(run, work, {"reason": reasons[0]})
    return [run for run in runs if not failed.keys() & set(things.all_needed(needs_of(run)))]


def _minutes(runs: Sequence[Run]) -> float:
    return sum(seconds_of(run) for run in runs) / 60


def _say(text: str) -> None:
    click.echo(text, err=True)


if __name__ == "__main__":
    main()
