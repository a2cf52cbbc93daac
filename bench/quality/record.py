"""What was measured of one subject: its cells, kept as they come, of one model and one classifier."""

import functools
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

import ddim_edge
from ddim_edge.diffusion.samplers import changed_options
from models.training.fashion_mnist.data import load as load_images

from .. import results, tables
from .cells import Bench
from .classifier import JUDGE, Classifier, judge, load_or_train, to_signal
from .frechet import Gaussian
from .plan import AnyCell
from .references import floor, references

PACKAGES = ("ddim-edge", "numpy", "onnxruntime", "torch")
console = Console(stderr=True)


class Judged:
    """The record of ``subject``, in bench/results; cells of another model are dropped.

    Without ``keep`` it is new, and nothing is written. Raises ClickException where another classifier judged the
    record: what cannot be measured again is not thrown away.
    """

    def __init__(self, subject: str, *, keep: bool = True, weights: Path = JUDGE) -> None:
        self.subject, self._keep = subject, keep
        self.classifier = load_or_train(weights)
        sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
        self.record = _begun(results.read(subject) if keep else {}, sha256, results.RESULTS / f"{subject}.json")
        self.test = Gaussian.fit(judge(self.classifier, to_signal(load_images("t10k")[0]))[0])

    def add_references(self, sizes: set[int]) -> None:
        """Distances between real images, and the floor of each number of images in ``sizes``."""
        missing = sorted(size for size in sizes if str(size) not in self.record["floors"])
        if missing or "references" not in self.record:
            with console.status("judging the real images"):
                self.record = _with_references(self.record, self.classifier, self.test, missing)
            self._save()

    def bench(self, pipeline: ddim_edge.Pipeline, batch_size: int) -> Bench:
        """What measures the cells of ``pipeline``'s model."""
        self.record = _for_model(self.record, pipeline)
        return Bench(pipeline, self.classifier, self.test, batch_size)

    def measure(self, bench: Bench, cells: Iterable[AnyCell]) -> list[dict[str, Any]]:
        """The results of ``cells``; those that are not in the record yet are measured, and each is written at once."""
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        rows = []
        with Progress(*columns, console=console) as progress:
            for cell in cells:
                if cell.key not in self.record["cells"]:
                    task = progress.add_task(cell.key, total=cell.num_images * cell.calls)
                    found = bench.measure(cell, functools.partial(progress.advance, task))
                    self.record["cells"][cell.key] = found
                    self._save()
                rows.append(self.record["cells"][cell.key])
        return rows

    def _save(self) -> None:
        if self._keep:
            tables.publish(self.subject, self.record, PACKAGES)


def _begun(record: results.Record, weights_sha256: str, path: Path) -> results.Record:
    """The earlier record, or a new one where there is none. Raises ClickException for that of another classifier."""
    if not record:
        return {"classifier": {"weights_sha256": weights_sha256}, "floors": {}}
    judge = record["classifier"]["weights_sha256"]
    if judge != weights_sha256:
        raise click.ClickException(
            f"{path} was judged by another classifier ({judge[:8]}…, this one is {weights_sha256[:8]}…), whose "
            "distances cannot be compared with this one's: move the file away to measure all of it again"
        )
    return record


def _for_model(record: results.Record, pipeline: ddim_edge.Pipeline) -> results.Record:
    """The record without the cells of another model."""
    bundle = pipeline.bundle
    # What all samplers share; which of them is the model's default does not change a cell.
    schedule = changed_options(bundle.sampler("ddim"))
    model = {"name": bundle.name, "sha256": bundle.sha256, "scheduler": schedule}
    if record.get("model") == model:
        return record
    return {**record, "model": model, "cells": {}}


def _with_references(
    record: results.Record, classifier: Classifier, test: Gaussian, missing: list[int]
) -> results.Record:
    train_pixels, train_labels = load_images("train")
    test_pixels, test_labels = load_images("t10k")
    train, real = to_signal(train_pixels), to_signal(test_pixels)
    features, found = judge(classifier, train)[0], judge(classifier, real)[1]
    floors = {str(size): floor(features, train_labels, test, size) for size in missing}
    return {
        **record,
        "classifier": {**record["classifier"], "test_accuracy": round(float((found == test_labels).mean()), 4)},
        "references": references(lambda images: judge(classifier, images)[0], train, real),
        "floors": {**record["floors"], **floors},
    }
