"""``Pipeline.generate``: the usual way to make images. The PNG holds the recipe that makes it again."""

import sys

import ddim_edge


def main(out: str = "generate.png") -> None:
    pipeline = ddim_edge.load("fashion-mnist", provider="cpu")  # a bundled model, or the folder of a bundle
    result = pipeline.generate(labels=["sneaker", "bag", "coat", "dress"], seed=3, guidance_scale=1.5)
    print(result.images.shape, result.images.dtype)  # (4, 28, 28, 1) uint8
    print(result.recipe)
    result.save(out)  # a .png file: one grid; a .npy file: float32, before rounding; a folder: a PNG for each image


if __name__ == "__main__":
    main(*sys.argv[1:2])
