"""The bundle's network as a DDIMPipeline of diffusers, in torch."""

import functools
import importlib
import sys
from pathlib import Path
from typing import Any

import torch

# A lazy module whose classes no type checker sees through.
diffusers: Any = importlib.import_module("diffusers")


def make_unet(bundle: Path, trained: Path | str | None) -> Any:
    """The bundle's UNet in torch: the trained one of a diffusers folder, else random weights of the same shape.

    Its time does not depend on the weights, so the bundle's config is enough.
    """
    if trained is not None:
        return diffusers.UNet2DModel.from_pretrained(trained).eval()
    torch.manual_seed(0)
    return diffusers.UNet2DModel.from_config(diffusers.UNet2DModel.load_config(bundle / "unet")).eval()


def make_pipeline(bundle: Path, trained: Path | str | None, batch_size: int) -> Any:
    """A DDIMPipeline whose UNet gets the labels of all classes in turn: the pipeline itself has no labels."""
    unet = make_unet(bundle, trained)
    unet.forward = functools.partial(unet.forward, class_labels=torch.arange(batch_size) % 10)
    scheduler = diffusers.DDIMScheduler.from_pretrained(bundle / "scheduler")
    pipeline = diffusers.DDIMPipeline(unet=unet, scheduler=scheduler)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def generate(pipeline: Any, batch_size: int, num_steps: int) -> Any:
    """One batch, each image from its own seed as in ddim-edge, as float arrays, the cheapest output."""
    generators = [torch.Generator().manual_seed(seed) for seed in range(batch_size)]
    return pipeline(batch_size=batch_size, generator=generators, num_inference_steps=num_steps, output_type="np").images


if __name__ == "__main__":
    folder, out, *weights = map(Path, sys.argv[1:])
    make_unet(folder, weights[0] if weights else None).save_pretrained(out)
