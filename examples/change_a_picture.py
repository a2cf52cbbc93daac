"""img2img and inpainting: an ``Origin`` gives the picture to change, and a mask where to change it."""

import sys

import numpy as np

import ddim_edge


def main(out: str = "change_a_picture.png") -> None:
    pipeline = ddim_edge.load("fashion-mnist", provider="cpu")
    bundle = pipeline.bundle
    _, height, width = bundle.image_shape()

    # A picture as float32 (1, C, H, W) in [-1, 1]. From a file: ddim_edge.read_picture(path, bundle.image_shape())
    coat = pipeline.generate(labels=["coat"], seed=5).images
    picture = (coat.transpose(0, 3, 1, 2) / 127.5 - 1).astype(np.float32)

    # All of it, by 60 % of the steps.
    varied = pipeline.generate(labels=["coat"], origin=ddim_edge.Origin(image=picture), strength=0.6, seed=1)

    # Only the left half. From a file: ddim_edge.read_mask(path, bundle.image_shape())
    mask = np.zeros((1, 1, height, width), bool)
    mask[..., : width // 2] = True
    repainted = pipeline.generate(labels=["coat"], origin=ddim_edge.Origin(image=picture, mask=mask), seed=2)

    images = np.concatenate([coat, varied.images, repainted.images])
    ddim_edge.Result(images, repainted.recipe, pipeline.provider).save(out)


if __name__ == "__main__":
    main(*sys.argv[1:2])
