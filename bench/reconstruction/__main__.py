"""``python -m bench.reconstruction``: the error of images encoded and decoded by DDIM, as in Table 2 of its paper."""

from functools import partial
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.progress import Progress

import ddim_edge
from ddim_edge.arrays import Sample
from models.training.fashion_mnist.data import load as load_images

from .. import results, tables

SUBJECT = "reconstruction"
PACKAGES = ("ddim-edge", "numpy", "onnxruntime")
STEPS = (10, 20, 50, 100, 200, 500, 1000)
WHOLE_UP_TO = 50
"""With more steps a row has fewer images, so that it takes as long as 20 steps with all of them."""
FEWEST = 20


@click.command()
@click.option("--bundle", default="fashion-mnist", show_default=True, help="A bundled model's name or a folder.")
@click.option("--num-images", default=1000, show_default=True, help="Test images in a row, up to 50 steps.")
@click.option("--all-whole", is_flag=True, help="Use all images beyond 50 steps, too.")
@click.option("--batch-size", default=50, show_default=True)
@click.option("--provider", default="auto", show_default=True)
def main(bundle: str, num_images: int, all_whole: bool, batch_size: int, provider: str) -> None:
    """Encode test images and decode them again; write bench/results/reconstruction.json and render bench/README.md.

    Rows that were measured before with the same model and number of images are kept: the command resumes.
    """
    pipeline = ddim_edge.load(bundle, provider)
    pixels, _ = load_images("t10k")
    images = (pixels[:num_images].astype(np.float32) / 127.5 - 1)[:, None]
    record = _kept(pipeline)
    with Progress(console=Console(stderr=True)) as progress:
        for steps in STEPS:
            count = num_images if all_whole or steps <= WHOLE_UP_TO else max(FEWEST, num_images * 20 // steps)
            if record["rows"].get(str(steps), {}).get("num_images") == count:
                continue
            task = progress.add_task(f"{steps} steps", total=2 * steps * -(-count // batch_size))
            error = _error(pipeline, images[:count], steps, batch_size, partial(progress.advance, task))
            record["rows"][str(steps)] = {"num_images": count, "error": error}
            tables.publish(SUBJECT, record, PACKAGES)


def _kept(pipeline: ddim_edge.Pipeline) -> dict[str, Any]:
    record = results.read(SUBJECT)
    same = record.get("model_sha256") == pipeline.bundle.sha256
    return record if same else {"model_sha256": pipeline.bundle.sha256, "rows": {}}


def _error(
    pipeline: ddim_edge.Pipeline, images: Sample, num_steps: int, batch_size: int, advance: Any
) -> dict[str, float]:
    """The mean squared and the mean absolute error per dimension, of values in [0, 1]."""
    latents = ddim_edge.encode(pipeline, images, num_steps=num_steps, batch_size=batch_size, on_call=advance)
    request = ddim_edge.from_latents(pipeline, latents, batch_size=batch_size)
    parts = []
    for progress in pipeline.run(request):
        advance()
        if progress.images is not None:
            parts += [job.result() for job in progress.jobs]
    difference = (np.concatenate(parts) - images) / 2
    return {"squared": float(np.mean(difference**2)), "absolute": float(np.mean(np.abs(difference)))}


if __name__ == "__main__":
    main()
