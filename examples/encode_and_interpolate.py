"""``encode``, ``from_latents`` and ``interpolate``: from a picture to the noise that makes it, and back.

Then from one text to another with a latent text model: the second file, whose name ends in -texts.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

import ddim_edge


def main(out: str = "encode_and_interpolate.png") -> None:
    pipeline = ddim_edge.load("fashion-mnist", provider="cpu")
    original = pipeline.generate(labels=["coat"], seed=5)
    with tempfile.TemporaryDirectory() as folder:
        coat = original.save(Path(folder) / "coat.png")

        # DDIM backwards finds x_T; forwards it gives nearly the same picture. More steps give it more exactly.
        latents = ddim_edge.encode(pipeline, [coat], labels=["coat"], num_steps=50)
        request = ddim_edge.from_latents(pipeline, latents)
        again = images_of(pipeline, request)
        difference = np.abs(again.images.astype(int) - original.images.astype(int)).mean()
        print(f"the picture came back with a mean difference of {difference:.1f} of 255")

        # From the picture to the image of seed 7, along the sphere between the two noises.
        request = ddim_edge.interpolate(pipeline, coat, 7, num_frames=4, num_steps=25)
    images_of(pipeline, request).save(out)

    # The same noise at both ends: the text alone changes.
    emoji = ddim_edge.load("emoji", provider="cpu")
    texts = ["grinning face", "red heart"]
    request = ddim_edge.interpolate(emoji, 3, 3, num_frames=4, prompt=texts, num_steps=10)
    path = Path(out)
    images_of(emoji, request).save(path.with_stem(f"{path.stem}-texts"))


def images_of(pipeline: ddim_edge.Pipeline, request: ddim_edge.Request) -> ddim_edge.Result:
    """The images of a request, with its recipe."""
    frames = [progress.images for progress in pipeline.run(request) if progress.images is not None]
    return ddim_edge.Result(np.concatenate(frames), pipeline.recipe(request), pipeline.provider)


if __name__ == "__main__":
    main(*sys.argv[1:2])
