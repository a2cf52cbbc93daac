"""``encode``, ``from_latents`` and ``interpolate``: from a picture to the noise that makes it, and back."""

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
        *_, last = pipeline.run(request)
        assert last.images is not None
        difference = np.abs(last.images.astype(int) - original.images.astype(int)).mean()
        print(f"the picture came back with a mean difference of {difference:.1f} of 255")

        # From the picture to the image of seed 7, along the sphere between the two noises.
        request = ddim_edge.interpolate(pipeline, coat, 7, num_frames=4, num_steps=25)
    frames = np.concatenate([progress.images for progress in pipeline.run(request) if progress.images is not None])
    ddim_edge.Result(frames, pipeline.recipe(request), pipeline.provider).save(out)


if __name__ == "__main__":
    main(*sys.argv[1:2])
