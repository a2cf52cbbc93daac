"""Latents in a file: what `encode` found, and the recipe that brings the images back."""

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
    """x_T of some images.

    Attributes:
        samples: float32 (N, C, H, W).
        recipe: the JSON object of the run that makes the images of them: model, labels, steps, sampler.
        alpha_bar: the noise level at which they stand.
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
    """Read what ``Latents.to_bytes`` wrote; ConfigError for any other file."""
    try:
        with np.load(Path(path), allow_pickle=False) as file:
            recipe = json.loads(str(file["recipe"]))
            latents = Latents(file["latents"].astype(np.float32), recipe, float(file["alpha_bar"]))
    except FileNotFoundError:
        raise ConfigError(f"{path} is not there") from None
    except (OSError, EOFError, KeyError, TypeError, ValueError, AttributeError, RuntimeError, zipfile.BadZipFile):
        raise ConfigError(f"{path} holds no latents of `ddim-edge encode`") from None
    if not isinstance(recipe, dict):
        raise ConfigError(f"{path} holds no latents of `ddim-edge encode`")
    return latents
