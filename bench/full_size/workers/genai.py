"""OpenVINO GenAI's pipeline."""

import importlib
from typing import Any

import numpy as np

from .noted import Notes


def run(notes: Notes) -> None:
    """Make the image, from the noise that torch draws for the seed."""
    genai, asked = importlib.import_module("openvino_genai"), notes.settings
    pipeline = genai.Text2ImagePipeline(notes.folder, "CPU", **asked["properties"])
    latents = list[Any]()

    def keep(_step: int, _steps: int, latent: Any) -> bool:
        notes.step()
        latents.append(np.array(latent.data))
        return False

    notes.begin()
    image = pipeline.generate(
        asked["prompt"],
        num_inference_steps=asked["steps"],
        guidance_scale=asked["guidance"],
        generator=genai.TorchGenerator(asked["seed"]),
        callback=keep,
    )
    np.save(notes.out / "image.npy", image.data)
    notes.write(latents[-1])


if __name__ == "__main__":
    run(Notes())
