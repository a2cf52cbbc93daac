"""The teacher's trajectories on disk: files of 128, made one by one, so that an interrupted run continues."""

from pathlib import Path

import numpy as np
from rich.progress import track

from ddim_edge.files import atomic_write

from .teacher import Predict, Trajectories, follow

PER_FILE = 128


def make(predict: Predict, count: int, folder: Path) -> Trajectories:
    """``count`` trajectories, rounded up to whole files. Those that are in ``folder`` are read."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers = range(-(-count // PER_FILE))
    parts = [_read_or_make(predict, number, folder) for number in track(numbers, "trajectories of the teacher")]
    return Trajectories(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _read_or_make(predict: Predict, number: int, folder: Path) -> Trajectories:
    path = folder / f"{number:05}.npz"
    if not path.exists():
        _make(predict, number, path)
    with np.load(path) as file:
        return Trajectories(file["samples"], file["ends"], file["labels"])


def _make(predict: Predict, number: int, path: Path) -> None:
    """Trajectory k of all has class k mod 10."""
    noise = np.random.default_rng((0, number)).standard_normal((PER_FILE, 1, 28, 28), np.float32)
    labels = (number * PER_FILE + np.arange(PER_FILE)) % 10
    found = follow(predict, noise, labels)
    with atomic_write(path) as file:
        np.savez(file, samples=found.samples.astype(np.float16), ends=found.ends.astype(np.float16), labels=labels)
