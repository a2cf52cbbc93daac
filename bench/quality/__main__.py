"""``python -m bench.quality``: the share of images with the right label, and their Fréchet distance to real ones."""

import functools
import hashlib
from collections.abc import Iterable
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

import ddim_edge
from ddim_edge.diffusion.samplers import changed_options
from models.training.fashion_mnist.data import load as load_images

from .. import results, tables
from . import plan
from .cells import Bench
from .classifier import Classifier, judge, load_or_train, to_signal
from .frechet import Gaussian
from .plan import AnyCell
from .references import floor, references

SUBJECT = "quality"
PACKAGES = ("ddim-edge", "numpy", "onnxruntime", "torch")
WEIGHTS = results.CACHE / "classifier.pt"
console = Console(stderr=True)

Record = dict[str, Any]


@click.command()
@click.option("--bundle", default="fashion-mnist", show_default=True, help="A bundled model's name or a folder.")
@click.option("--num-images", default=2000, show_default=True, help="Images in each of the two cells that matter.")
@click.option("--scan-images", default=500, show_default=True, help="Images in a cell of the scan over guidance.")
@click.option("--table-images", default=1000, show_default=True, help="Images in a cell of the table up to 50 steps.")
@click.option("--sampler-images", default=1000, show_default=True, help="Images in a cell of the samplers' table.")
@click.option("--batch-size", default=64, show_default=True)
@click.option("--provider", default="auto", show_default=True)
@click.option("--references-only", is_flag=True, help="Measure the real images alone; generate none.")
def main(
    bundle: str,
    num_images: int,
    scan_images: int,
    table_images: int,
    sampler_images: int,
    batch_size: int,
    provider: str,
    references_only: bool,
) -> None:
    """Measure the quality of a Fashion-MNIST model, write bench/results/quality.json and render bench/README.md.

    Cells that were measured before with the same model and classifier are kept: the command resumes.
    """
    classifier = load_or_train(WEIGHTS)
    pixels, _ = load_images("t10k")
    test = Gaussian.fit(judge(classifier, to_signal(pixels))[0])
    sizes = {num_images, scan_images, table_images, sampler_images}
    record = _with_references(_kept(_classifier_record()), classifier, test, sizes)
    if references_only:
        return
    pipeline = ddim_edge.load(bundle, provider)
    record = _for_model(record, pipeline)
    bench = Bench(pipeline, classifier, test, batch_size)
    best_scale = plan.best_scale(_measure(bench, record, plan.scan(scan_images)))
    _measure(bench, record, plan.headline(best_scale, num_images))
    _measure(bench, record, plan.table(table_images))
    _measure(bench, record, plan.guided(pipeline.bundle.num_steps, sampler_images))
    _measure(bench, record, plan.samplers(sampler_images))


def _classifier_record() -> Record:
    return {"weights_sha256": hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()}


def _kept(classifier: Record) -> Record:
    """The earlier record if this classifier judged it, else a new one."""
    record = results.read(SUBJECT)
    same = record.get("classifier", {}).get("weights_sha256") == classifier["weights_sha256"]
    return record if same else {"classifier": classifier, "floors": {}}


def _for_model(record: Record, pipeline: ddim_edge.Pipeline) -> Record:
    """The record without the cells of another model."""
    bundle = pipeline.bundle
    # What all samplers share; which of them is the model's default does not change a cell.
    schedule = changed_options(bundle.sampler("ddim"))
    model = {"name": bundle.name, "sha256": bundle.sha256, "scheduler": schedule}
    if record.get("model") == model:
        return record
    return {**record, "model": model, "cells": {}}


def _with_references(record: Record, classifier: Classifier, test: Gaussian, sizes: set[int]) -> Record:
    missing = sorted(size for size in sizes if str(size) not in record["floors"])
    if not missing and "references" in record:
        return record
    with console.status("judging the real images"):
        train_pixels, train_labels = load_images("train")
        test_pixels, test_labels = load_images("t10k")
        train, real = to_signal(train_pixels), to_signal(test_pixels)
        features = judge(classifier, train)[0]
        found = judge(classifier, real)[1]
        record["classifier"]["test_accuracy"] = round(float((found == test_labels).mean()), 4)
        record["references"] = references(lambda images: judge(classifier, images)[0], train, real)
        for size in missing:
            record["floors"][str(size)] = floor(features, train_labels, test, size)
    _save(record)
    return record


def _measure(bench: Bench, record: Record, cells: Iterable[AnyCell]) -> list[Record]:
    """The results of ``cells``; those that are not in the record yet are measured, and each is written at once."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    rows = []
    with Progress(*columns, console=console) as progress:
        for cell in cells:
            if cell.key not in record["cells"]:
                task = progress.add_task(cell.key, total=cell.num_images * cell.calls)
                record["cells"][cell.key] = bench.measure(cell, functools.partial(progress.advance, task))
                _save(record)
            rows.append(record["cells"][cell.key])
    return rows


def _save(record: Record) -> None:
    tables.publish(SUBJECT, record, PACKAGES)


if __name__ == "__main__":
    main()
