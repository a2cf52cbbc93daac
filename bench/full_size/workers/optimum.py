"""optimum's pipeline for ONNX Runtime, on the folder that it exported."""

import importlib
from typing import Any

from .noted import Notes


def run(notes: Notes) -> None:
    """Make the image, from the noise that torch draws for the seed."""
    torch, optimum = importlib.import_module("torch"), importlib.import_module("optimum.onnxruntime")
    asked, latents = notes.settings, list[Any]()
    # As in tests/optimum: with I/O binding optimum 2.1 can write the prediction over the latents.
    options = {"provider": "CPUExecutionProvider", "use_io_binding": False}
    pipeline = optimum.ORTStableDiffusionPipeline.from_pretrained(notes.folder, **options)
    network = pipeline.unet.forward

    def noted(*arguments: Any, **named: Any) -> Any:
        notes.begin()
        return network(*arguments, **named)

    def keep(_pipeline: Any, _step: int, _timestep: Any, named: dict[str, Any]) -> dict[str, Any]:
        notes.step()
        latents.append(named["latents"])
        return named

    pipeline.unet.forward = noted
    made = pipeline(
        asked["prompt"],
        num_inference_steps=asked["steps"],
        guidance_scale=asked["guidance"],
        generator=torch.Generator().manual_seed(asked["seed"]),
        callback_on_step_end=keep,
    )
    made.images[0].save(notes.out / "image.png")
    notes.write(latents[-1].numpy().copy())


if __name__ == "__main__":
    run(Notes())
