"""``python -m bench.policy``: how often the policy of models/point-maze reaches its goal, and how quickly it decides.

Each command writes its part of bench/results/policy.json and renders bench/README.md.
"""

from pathlib import Path

import click

from .. import results, tables
from . import PACKAGES, REGRESSION, SUBJECT


@click.group(invoke_without_command=True)
@click.option(
    "--regression",
    type=click.Path(path_type=Path),
    default=REGRESSION,
    show_default=True,
    help="The bundle that was trained with --regression. Left out where it is not there.",
)
@click.option("--only", help="The cells whose name contains this.")
@click.pass_context
def main(context: click.Context, regression: Path, only: str | None) -> None:
    """Measure success. Cells that were measured before with the same bundle are kept: the command resumes."""
    if context.invoked_subcommand is not None:
        return
    from .cells import cells, measure

    record = of_this_bundle()
    for cell in cells(with_regression=regression.is_dir()):
        if cell.name not in record["cells"] and (only or "") in cell.name:
            found = record["cells"][cell.name] = measure(cell, regression)
            click.echo(f"{cell.name}: {found['successes']} of {cell.episodes}, {found['actions']} actions")
            tables.publish(SUBJECT, record, PACKAGES)


@main.command()
@click.option("--rounds", default=7, show_default=True, help="Rounds of each side.")
@click.option("--episodes", default=200, show_default=True, help="Episodes with each deadline.")
def speed(rounds: int, episodes: int) -> None:
    """Measure times beside PyTorch, and success within deadlines. Run it where nothing else runs."""
    from .speed import deadlines, decisions

    record = of_this_bundle()
    record["decisions"] = decisions(click.echo, rounds)
    tables.publish(SUBJECT, record, PACKAGES)
    record["deadlines"] = deadlines(click.echo, episodes)
    tables.publish(SUBJECT, record, PACKAGES)


@main.command()
@click.option("--regression", type=click.Path(path_type=Path), default=REGRESSION, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=results.ROOT / "docs" / "point-maze.gif")
def film(regression: Path, out: Path) -> None:
    """Film episodes from one start: the policy's beside those of the regression."""
    from .film import write

    click.echo(f"{write(out, regression) / 1e6:.2f} MB in {out}")


def of_this_bundle() -> results.Record:
    """What was measured of the bundle's graph before; nothing where it has changed."""
    from ddim_edge.graphs.file_hashes import read_sha256

    from . import BUNDLE

    sha256 = read_sha256(BUNDLE / "unet" / "model.onnx")
    record = results.read(SUBJECT)
    return record if record.get("sha256") == sha256 else {"sha256": sha256, "cells": {}}


if __name__ == "__main__":
    main()
