"""Results of a run: its progress after every network call, and the finished images with their recipe."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from ..arrays import Array, Pixels, Sample
from ..errors import ConfigError
from ..images.encode import to_pixels
from ..images.formats import ARRAY_SUFFIXES, images_of
from ..images.save import ImageFolder, is_folder, local_or_url, save_file
from ..images.storage import storage_of
from .engine import Job

Phase = Literal["text", "steps", "decode"]
"""What a batch of images goes through: its prompts are encoded, its network calls made, its images decoded."""
OnPhase = Callable[[Phase, range], None]
"""Called with a phase that begins, and the images of the batch."""


def ignore_phase(_phase: Phase, _indices: range) -> None:
    """Do nothing."""


class Progress(NamedTuple):
    """The state of a run after a network call."""

    indices: range
    """The images of the current batch."""
    calls: int
    """Number of network calls of this batch so far."""
    jobs: Sequence[Job]
    """The batch's jobs, one an image, in the order of ``indices``."""
    images: Pixels | None
    """The batch's finished images, uint8 (B, H, W, C), after its last step; None before, and for arrays."""
    pixels: Callable[[Sample], Pixels] = to_pixels
    """Converts samples, float32 (B, …), to images, uint8 (B, H, W, C)."""
    is_safe: tuple[bool, ...] | None = None
    """Which of the finished images passed the model's safety checker; None if they were not checked."""
    samples: Sample | None = None
    """The finished samples in the units of the model's output, float32 (B, …), after the last step; None before."""

    @property
    def ended(self) -> bool:
        """Whether the batch is finished."""
        return self.samples is not None

    def contents(self, suffix: str) -> Array:
        """What a file of that suffix holds of a finished batch: samples for .npy and .npz, else images.

        ConfigError for images of a model that makes arrays.
        """
        assert self.samples is not None
        return self.samples if suffix in ARRAY_SUFFIXES else images_of(self.images)

    def estimates(self) -> Pixels:
        """Previews: the batch's predicted x_0 as images; the finished images once they are there.

        ConfigError for a model that makes arrays.
        """
        if self.images is not None:
            return self.images
        samples = [job.result() if job.query is None else job.query.denoised for job in self.jobs]
        return self.pixels(np.concatenate([sample for sample in samples if sample is not None]))


@dataclass(frozen=True)
class Result:
    """Finished samples, their images, and the recipe that makes them again.

    Attributes:
        pixels: the images; None for a model that makes arrays.
        recipe: the JSON object that every saved PNG carries.
        provider: the provider that the UNet ran on.
        is_safe: which images passed the model's safety checker, the others are black; None if they were not checked.
        floats: the samples; None for a result that was made of images alone.
    """

    pixels: Pixels | None
    recipe: dict[str, Any]
    provider: str
    is_safe: tuple[bool, ...] | None = None
    floats: Sample | None = None

    @property
    def images(self) -> Pixels:
        """The images, uint8 (N, H, W, C). ConfigError for a model that makes arrays: take ``samples``."""
        return images_of(self.pixels)

    @property
    def samples(self) -> Sample:
        """The samples in the units of the model's output, float32 (N, …).

        Of images those before they are rounded: (N, C, H, W) in [-1, 1], or a little beyond.
        """
        if self.floats is None:
            raise ConfigError("this result was made of images alone, and has no samples")
        return self.floats

    def save(self, path: str | os.PathLike[str]) -> Path | str:
        """Write a grid to a ``.png``, ``.jpg`` or ``.webp`` file, all samples to ``.npy`` or, with the recipe, to
        ``.npz``, or one file for each to a folder: PNG, of arrays .npz.

        A path without a suffix, or with a slash at its end, is a folder. It may be a URL of a store, such as
        ``s3://bucket/out.png`` (extra ``remote``). Files are written whole or not at all. Returns the path, or the URL
        as text. Raises OutputError if they cannot be written, ConfigError for another suffix, and for a URL that cannot
        be used.
        """
        if not is_folder(path):
            return save_file(path, self.pixels, self.floats, self.recipe)
        target = local_or_url(path)
        folder = ImageFolder(storage_of(target), self.recipe, ".npz" if self.pixels is None else ".png")
        for index, image in enumerate(self.samples if self.pixels is None else self.pixels):
            folder.add(index, image)
        return target
