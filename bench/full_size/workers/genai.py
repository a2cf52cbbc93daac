"""OpenVINO GenAI's pipeline."""

import importlib
from typing import Any

import numpy as np

from .noted import NOISE, Notes


def run(notes: Notes) -> None:
    """Make the image, from the noise that torch draws for the seed."""
    genai, asked = importlib.import_module("openvino_genai"), notes.settings
    pipeline = genai.Text2ImagePipeline(notes.folder, "CPU", **asked["properties"])
    latents, noise = list[Any](), iter(np.load(notes.out / NOISE).ravel().tolist())

    class Drawn(genai.Generator):  # type: ignore[misc, name-defined]
        """Its own generator of torch's noise needs torch."""

        def next(self) -> float:
            return float(next(noise))

    def keep(_step: int, _steps: int, latent: Any) -> bool:
        notes.step()
        latents.append(np.array(latent.data))
        return False

    notes.begin()
    image = pipeline.generate(
        asked["prompt"],
        num_inference_steps=asked["steps"],
        guidance_scale=asked["guidance"],
        generator=Drawn(),
        callback=keep,
    )
    np.save(notes.out / "image.npy", image.data)
    notes.write(latents[-1])


if __name__ == "__main__":
    run(Notes())
