"""Latents files (.npz): the latents that `encode` found, and the recipe that makes the images again."""

import io
import json
import os
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...arrays import Sample
from ...config.json_file import parse_json
from ...errors import LONGEST_SHOWN, ConfigError
from ...files import open_regular
from ...images.npy_header import NpyHeader
from ...images.npz import read_member
from .recipe import check_recipe

_Shape = tuple[int, ...]

MAX_BYTES = 2**29
"""The largest array that is read from a latents file."""


@dataclass(frozen=True)
class Latents:
    """x_T of one or more images.

    Attributes:
        samples: float32 (N, C, H, W).
        recipe: the JSON object of the run that makes images from them: model, labels, steps, sampler.
        alpha_bar: their noise level ᾱ.
    """

    samples: Sample
    recipe: Mapping[str, Any]
    alpha_bar: float

    def to_bytes(self) -> bytes:
        """The contents of an .npz file."""
        buffer = io.BytesIO()
        recipe = json.dumps(dict(self.recipe), ensure_ascii=False)
        np.savez(buffer, latents=self.samples, recipe=np.array(recipe), alpha_bar=np.array(self.alpha_bar))
        return buffer.getvalue()


def read_latents(
    path: str | os.PathLike[str], shape: _Shape | Callable[[Mapping[str, Any]], _Shape] | None = None
) -> Latents:
    """Read a file that ``Latents.to_bytes`` wrote; ConfigError for any other file.

    ``shape``: (C, H, W) of the model's samples, or a function that has it for the file's recipe. ConfigError for
    latents of another shape, before they are read.
    """
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            recipe = parse_json(str(_array(archive, "recipe", "U", ())), "the recipe")
            check_recipe(recipe)
            alpha_bar = float(_array(archive, "alpha_bar", "f", ()))
            wanted = shape(recipe) if callable(shape) else shape
            samples = _array(archive, "latents", "f", wanted and (None, *wanted))
            return Latents(samples.astype(np.float32, copy=False), recipe, alpha_bar)
    except FileNotFoundError:
        raise ConfigError(f"{os.fspath(path)} is not there") from None
    except ConfigError as error:
        raise ConfigError(f"{os.fspath(path)}: {error}") from None
    except Exception as error:  # zipfile and NumPy raise many kinds for a broken file
        why = getattr(error, "strerror", None) or str(error)[:LONGEST_SHOWN] or type(error).__name__
        raise ConfigError(
            f"{os.fspath(path)} is not a latents file: make one with `ddim-edge encode` ({why})"
        ) from None


def _array(archive: zipfile.ZipFile, name: str, kind: str, shape: tuple[int | None, ...] | None) -> NDArray[Any]:
    """An array of the archive, once its header has the expected kind of type and shape (None: any side, any shape)."""

    def check(header: NpyHeader) -> None:
        if shape is not None and not _fits(header.shape, shape):
            raise ConfigError(
                f"{name} has the shape {header.shape}, and the model needs (N, {shape[1:]}): encode the "
                "pictures again with this model"
            )
        if header.dtype.kind != kind or header.size > MAX_BYTES:
            raise ValueError(f"{name} has {header.size} bytes of the type {header.dtype}")

    return read_member(archive, name, check)


def _fits(found: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    return len(found) == len(wanted) and all(want in (None, side) for side, want in zip(found, wanted, strict=True))
