"""``python -m bench.step_cache``: what caches cost and save, on the two trained models, beside fewer plain steps."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ddim_edge.bundle.layout import SHALLOW_MODEL, UNET
from ddim_edge.bundle.read import open_bundle
from ddim_edge_export.step_cache import add_to_bundle

from .. import results, tables
from ..quality.classifier import JUDGE, load_or_train
from .cells import Cell, cells
from .models import BATCH, ROUND, Emoji, FashionMnist, Judge, make, part_of
from .parts import has_part, read_parts, write_part

SUBJECT = "step_cache"
PACKAGES = ("ddim-edge", "numpy", "onnxruntime", "torch", "pillow")
WORK = results.CACHE / "step_cache"
QUICK = 1
MODELS: dict[str, tuple[str, Callable[[Path], Judge]]] = {
    "fashion-mnist": ("fashion-mnist", lambda bundle: FashionMnist(bundle, load_or_train(JUDGE))),
    "emoji": ("models/emoji", Emoji),
}
"""The bundle of each model, and what opens and judges it."""


@click.command()
@click.option("--minutes", default=40.0, show_default=True, help="No round begins that would end later.")
@click.option("--rounds", default=20, show_default=True, help=f"The most rounds of {ROUND} images a cell.")
@click.option("--quick", is_flag=True, help=f"One round: {ROUND} images a cell.")
def main(minutes: float, rounds: int, quick: bool) -> None:
    """Measure, write bench/results/step_cache.json and render bench/README.md.

    In each round every cell of both models makes some more images. What was made before is kept: the command resumes,
    and can be interrupted. The tables have the rounds that are complete. Seconds are those of a cell's fastest round:
    a machine that was busy in one round does not count.
    """
    began = time.monotonic()
    opened = {name: (folder, open_model(folder / "bundle")) for name, (folder, open_model) in _prepared().items()}
    models = {name: (folder / model.by, model) for name, (folder, model) in opened.items()}
    for number in range(QUICK if quick else rounds):
        round_began = time.monotonic()
        for folder, model in models.values():
            if number < model.rounds:
                _measure(folder, model, number)
        tables.publish(SUBJECT, record(models, number + 1), PACKAGES)
        now = time.monotonic()
        if (now - began) + (now - round_began) > 60 * minutes:
            break


def _prepared() -> dict[str, tuple[Path, Callable[[Path], Judge]]]:
    """A copy of each model with a shallow graph."""
    prepared = {}
    for name, (bundle, open_model) in MODELS.items():
        opened = open_bundle(bundle)
        folder = WORK / f"{name}-{opened.sha256[:12]}"
        if not (folder / "bundle" / UNET.name / SHALLOW_MODEL).exists():
            shutil.copytree(opened.folder, folder / "bundle", dirs_exist_ok=True)
            add_to_bundle(folder / "bundle")
        prepared[name] = folder, open_model
    return prepared


def _measure(folder: Path, model: Judge, number: int) -> None:
    missing = [cell for cell in cells() if not has_part(folder / cell.key, number)]
    if missing:
        _warm_up(model)
    with click.progressbar(missing, label=f"{folder.parent.name}, round {number + 1}", item_show_func=_key) as shown:
        for cell in shown:
            write_part(folder / cell.key, number, part_of(model, make(model, cell, number)))


def _key(cell: Cell | None) -> str:
    return "" if cell is None else cell.key


def _warm_up(model: Judge) -> None:
    """Open both graphs, and make one batch."""
    request = model.pipeline.request(**model.options, num_steps=4, sampler="ddim", cache="deep:2", batch_size=BATCH)
    for _ in model.pipeline.run(request, [range(BATCH)]):
        pass


def record(models: dict[str, tuple[Path, Judge]], rounds: int) -> results.Record:
    """All cells of the first ``rounds`` rounds."""
    return {
        "models": {
            name: {
                "sha256": model.pipeline.bundle.sha256,
                "judged_by": model.by,
                "images": ROUND * min(rounds, model.rounds),
                "cells": [_row(folder, model, cell, min(rounds, model.rounds)) for cell in cells()],
            }
            for name, (folder, model) in models.items()
        }
    }


def _row(folder: Path, model: Judge, cell: Cell, rounds: int) -> dict[str, Any]:
    parts = read_parts(folder / cell.key, rounds)
    return {
        **cell._asdict(),
        "seconds": round(float(parts["seconds"].min()) / ROUND, 5),
        "whole": round(float(parts["whole"].mean()), 2),
        **model.quality(parts),
    }


if __name__ == "__main__":
    main()
