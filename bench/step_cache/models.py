"""The two trained models: the images of one round of a cell, and what they are judged by."""

import hashlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

import ddim_edge
from bench.emoji import ranks
from models.training.emoji import data as emoji_data
from models.training.fashion_mnist import data as fashion_data

from ..quality.classifier import Classifier, judge, to_signal
from ..quality.frechet import Gaussian, frechet_distance
from .cells import Cell

ROUND = 100
"""Images of a cell in one round."""
BATCH = 50

Part = Mapping[str, NDArray[Any]]
"""What is kept of a round: arrays with a row for each image, and the seconds of all, float64 (1,)."""


class Made(NamedTuple):
    """The images of a round, the whole and the cached calls of each, and the seconds of all."""

    indices: NDArray[np.int64]
    images: NDArray[np.uint8]
    whole: NDArray[np.int64]
    seconds: float


class Judge(Protocol):
    """A model with what its images are judged by.

    ``rounds``: the most that there are. ``by``: a name of what judges; parts of another one do not count.
    """

    pipeline: ddim_edge.Pipeline
    by: str
    rounds: int
    options: dict[str, Any]

    def judged(self, made: Made) -> Part:
        """What is kept of the images."""
        ...

    def quality(self, parts: Part) -> dict[str, float]:
        """The figures of a cell, from its parts joined; ``distance`` is among them, and less of it is better."""
        ...


class FashionMnist:
    """Class k mod 10 with seed k, without guidance: Fréchet distance to the test images, and the labels right."""

    rounds = 20

    def __init__(self, bundle: Path, classifier: Classifier) -> None:
        self.pipeline = ddim_edge.load(bundle, "cpu")
        self.options = {"num_images": self.rounds * ROUND, "labels": range(10), "guidance_scale": 1.0}
        self._classifier = classifier
        parameters = b"".join(value.numpy().tobytes() for value in classifier.state_dict().values())
        self.by = f"classifier-{hashlib.sha256(parameters).hexdigest()[:12]}"
        pixels, _ = fashion_data.load("t10k")
        self._test = Gaussian.fit(judge(classifier, to_signal(pixels))[0])

    def judged(self, made: Made) -> Part:
        features, found = judge(self._classifier, to_signal(made.images[..., 0]))
        return {"features": features, "right": found == made.indices % 10}

    def quality(self, parts: Part) -> dict[str, float]:
        distance = frechet_distance(Gaussian.fit(parts["features"]), self._test)
        return {"distance": round(distance, 4), "right": round(float(parts["right"].mean()), 4)}


class Emoji:
    """Training names with guidance 3: whose own picture is nearest, and the distance to it.

    A round's names are spread evenly over all of them; the k-th name of that order has seed k.
    """

    by = "pixels"

    def __init__(self, bundle: Path) -> None:
        self.pipeline = ddim_edge.load(bundle, "cpu")
        emoji = emoji_data.load()
        self.rounds = len(emoji.names) // ROUND
        order = [k for first in range(self.rounds) for k in range(first, len(emoji.names), self.rounds)]
        names = tuple(emoji.names[k] for k in order)
        self.options = {"num_images": len(names), "prompt": names, "guidance_scale": 3.0}
        self._own, self._training = np.array(order), emoji.images

    def judged(self, made: Made) -> Part:
        own = self._own[made.indices]
        training = np.concatenate([self._training[own], np.delete(self._training, own, axis=0)])
        difference = made.images.astype(np.float64) - self._training[own]
        return {"square": (difference**2).mean(axis=(1, 2, 3)), "rank": ranks(made.images, training)}

    def quality(self, parts: Part) -> dict[str, float]:
        distance = float(np.sqrt(parts["square"]).mean())
        return {"distance": round(distance, 4), "right": round(float((parts["rank"] == 0).mean()), 4)}


def make(model: Judge, cell: Cell, number: int) -> Made:
    """The images of round ``number``, from 0."""
    request = model.pipeline.request(**model.options, **cell.options(), batch_size=BATCH)
    first = number * ROUND
    chunks = [range(start, start + BATCH) for start in range(first, first + ROUND, BATCH)]
    images, whole = [], []
    began = time.perf_counter()
    for progress in model.pipeline.run(request, chunks):
        if progress.images is not None:
            images.append(progress.images)
            whole += [job.calls - job.shallow_calls for job in progress.jobs]
    seconds = time.perf_counter() - began
    return Made(np.arange(first, first + ROUND), np.concatenate(images), np.array(whole), seconds)


def part_of(model: Judge, made: Made) -> Part:
    """What is kept of a round."""
    return {**model.judged(made), "whole": made.whole, "seconds": np.array([made.seconds])}
