"""How near the pictures of a rewritten UNet are to those of the original."""

import shutil
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import ddim_edge

from .calls import prompts

PROMPTS = (
    *("blue car", "smiling face with sunglasses", "tree", "strawberry", "umbrella", "guitar", "snowman", "bee"),
    *("crown", "bread", "whale", "clock", "lion", "balloon", "ship", "anchor"),
)
NUM_STEPS = 20


def pictures(bundle: Path, unet: Path) -> NDArray[np.uint8]:
    """Pictures of the bundle with another graph as its UNet, uint8 (16, H, W, C)."""
    with tempfile.TemporaryDirectory() as name:
        copy = shutil.copytree(bundle, Path(name) / "bundle")
        for file in (copy / "unet").glob("model.onnx*"):
            file.unlink()
        for file in unet.parent.glob("model.onnx*"):
            shutil.copy(file, copy / "unet")
        pipeline = ddim_edge.load(copy, provider="cpu")
        options = prompts(pipeline, PROMPTS)
        return pipeline.generate(**options, seed=0, num_steps=NUM_STEPS, batch_size=8).images


def psnr(ours: NDArray[np.uint8], reference: NDArray[np.uint8]) -> float | None:
    """Decibels over all pixels of all pictures; None where they are equal."""
    squared = np.square(ours.astype(np.float64) - reference).mean()
    return round(float(10 * np.log10(255**2 / squared)), 1) if squared else None
