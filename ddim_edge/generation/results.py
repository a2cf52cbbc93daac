"""What a run gives: its progress after every network call, and at the end images with their recipe."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..arrays import Pixels, Sample
from ..files import write_file
from ..images.encode import to_pixels
from ..images.save import ImageFolder, file_bytes, is_folder
from .engine import Job


class Progress(NamedTuple):
    """Where a run stands after a step of its engine."""

    indices: range
    """The images that step together now."""
    calls: int
    """The network calls that this batch has had."""
    jobs: Sequence[Job]
    """The batch's jobs, one an image, in the order of ``indices``."""
    images: Pixels | None
    """The batch's finished images, uint8 (B, H, W, C), at its last step; None before."""
    pixels: Callable[[Sample], Pixels] = to_pixels
    """Makes images, uint8 (B, H, W, C), of samples, float32 (B, …)."""
    is_safe: tuple[bool, ...] | None = None
    """Which of the finished images the model's safety checker let pass; None where nobody looked."""

    def estimates(self) -> Pixels:
        """The batch's predicted x_0 as images: what the finished ones look like from here."""
        if self.images is not None:
            return self.images
        queries = [job.query for job in self.jobs if job.query is not None]
        return self.pixels(np.concatenate([query.denoised for query in queries if query.denoised is not None]))


@dataclass(frozen=True)
class Result:
    """Finished images and the recipe that makes them again.

    Attributes:
        images: uint8 (N, H, W, C).
        recipe: the JSON object that every saved PNG carries.
        provider: what the network ran on.
        is_safe: which of them the model's safety checker let pass, the others being black; None where nobody looked.
    """

    images: Pixels
    recipe: dict[str, Any]
    provider: str
    is_safe: tuple[bool, ...] | None = None

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write one grid to a ``.png`` file, all images to a ``.npy`` file, or one PNG an image to a folder.

        A path without a suffix, or with a slash at its end, is a folder. Nothing is left half-written. Raises
        OutputError where it cannot be written, ConfigError for another suffix.
        """
        target = Path(path)
        if not is_folder(path):
            return write_file(target, file_bytes(target, self.images, self.recipe))
        folder = ImageFolder(target, self.recipe)
        for index, image in enumerate(self.images):
            folder.add(index, image)
        return target
