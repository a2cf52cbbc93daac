"""The teacher's images and their noise on disk: files of 128, made one by one, so that an interrupted run continues."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from rich.progress import track
from torch import Tensor

from ddim_edge.files import atomic_write

from .teacher import Predict, images

PER_FILE = 128


class Pairs(NamedTuple):
    """Noise, float16 (N, 1, 28, 28), the teacher's images of it, the same, and their labels, int64 (N,)."""

    noise: Tensor
    images: Tensor
    labels: Tensor


def make(predict: Predict, count: int, folder: Path) -> Pairs:
    """``count`` pairs, rounded up to whole files. Those that are in ``folder`` are read."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers = range(-(-count // PER_FILE))
    parts = [_read_or_make(predict, number, folder) for number in track(numbers, "images of the teacher")]
    return Pairs(*(torch.cat(column) for column in zip(*parts, strict=True)))


def _read_or_make(predict: Predict, number: int, folder: Path) -> Pairs:
    path = folder / f"{number:05}.npz"
    if not path.exists():
        _make(predict, number, path)
    with np.load(path) as file:
        return Pairs(*(torch.from_numpy(file[name]) for name in Pairs._fields))


def _make(predict: Predict, number: int, path: Path) -> None:
    """Pair k of all has class k mod 10."""
    noise = np.random.default_rng((0, number)).standard_normal((PER_FILE, 1, 28, 28), np.float32)
    noise = noise.astype(np.float16).astype(np.float32)
    labels = (number * PER_FILE + np.arange(PER_FILE)) % 10
    made = images(predict, noise, labels)
    with atomic_write(path) as file:
        np.savez(file, noise=noise.astype(np.float16), images=made.astype(np.float16), labels=labels)
