"""Latents files (.npz): the latents that `encode` found, and the recipe that makes the images again."""

import io
import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...arrays import Sample
from ...errors import ConfigError


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


def read_latents(path: str | os.PathLike[str]) -> Latents:
    """Read a file that ``Latents.to_bytes`` wrote; ConfigError for any other file."""
    try:
        with np.load(Path(path), allow_pickle=False) as file:
            recipe = json.loads(str(file["recipe"]))
            latents = Latents(file["latents"].astype(np.float32), recipe, float(file["alpha_bar"]))
    except FileNotFoundError:
        raise ConfigError(f"{path} is not there") from None
    except (OSError, EOFError, KeyError, TypeError, ValueError, AttributeError, RuntimeError, zipfile.BadZipFile):
        raise _not_latents(path) from None
    if not isinstance(recipe, dict):
        raise _not_latents(path)
    return latents


def _not_latents(path: str | os.PathLike[str]) -> ConfigError:
    return ConfigError(f"{path} is not a latents file: make one with `ddim-edge encode`")
