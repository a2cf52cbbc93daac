"""The UNet's calls of a real run, recorded."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import ddim_edge

Call = Mapping[str, NDArray[Any]]
"""The UNet's inputs by name."""

CALIBRATION = ("red heart", "dog face", "green apple", "house", "crying face", "pizza", "rocket", "key")
"""Prompts of the calls that are recorded."""


def record(bundle: Path, num_steps: int, images: int, size: int | None) -> list[Call]:
    """The calls of ``images`` images, one after another, each of ``num_steps`` steps, guided where the model can be."""
    pipeline = ddim_edge.load(bundle, provider="cpu")
    calls, session = list[Call](), pipeline.denoiser.session
    run = session.run

    def recorded(feeds: Mapping[str, Any], *rest: Any) -> Any:
        calls.append({name: np.array(feed) for name, feed in feeds.items()})
        return run(feeds, *rest)

    session.run = recorded  # type: ignore[assignment, method-assign]
    options: dict[str, Any] = {"num_steps": num_steps, "batch_size": 1, "seed": 100}
    if size is not None:
        options |= {"height": size, "width": size}
    pipeline.generate(**options | prompts(pipeline, CALIBRATION[:images]))
    return calls


def prompts(pipeline: ddim_edge.Pipeline, texts: tuple[str, ...]) -> dict[str, Any]:
    """The options that ask for an image of each text, or for that many images of a model without text."""
    if pipeline.bundle.inputs.text:
        return {"prompt": texts, "guidance_scale": 3.0}
    return {"num_images": len(texts)}
