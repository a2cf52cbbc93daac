"""``python -m models.training.fashion_mnist``: trains the bundled model and exports it.

An interrupted run continues from its last checkpoint. So does a finished run that is given more steps.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import torch
from diffusers import DDIMPipeline, DDIMScheduler, UNet2DModel

from ddim_edge.errors import DdimEdgeError
from ddim_edge_export import export_folder, show_stages
from ddim_edge_export.output.record import write_json

from ..recipe import Recipe, scheduler_file
from .data import DEFAULT_FOLDER, NAMES, NULL_CLASS
from .train import train


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default="runs/fashion-mnist", show_default=True)
@click.option("--data", type=click.Path(path_type=Path), default=DEFAULT_FOLDER, show_default=True)
@click.option("--steps", default=Recipe.steps, show_default=True, help="Optimizer steps of 64 images.")
@click.option("--device", default="cuda" if torch.cuda.is_available() else "cpu", show_default=True)
def main(out: Path, data: Path, steps: int, device: str) -> None:
    """Train a UNet on Fashion-MNIST. Writes OUT/checkpoint.pt, OUT/diffusers and the bundle OUT/bundle."""
    out.mkdir(parents=True, exist_ok=True)
    unet = train(Recipe(steps=steps), data, out / "checkpoint.pt", torch.device(device))
    save_pipeline(unet.cpu(), out / "diffusers", SCHEDULER, NULL_CLASS)
    with show_stages() as on_stage:
        export_folder(out / "diffusers", out / "bundle", on_stage=on_stage)
    click.echo(f"{out / 'bundle'}")


# The fewest network calls within 10 % of the least Fréchet distance: bench/README.md.
SCHEDULER = scheduler_file(num_steps=8)


def save_pipeline(unet: UNet2DModel, folder: Path, scheduler: Mapping[str, Any], null_class: int | None) -> None:
    """Save the network with its scheduler and its classes as a folder that diffusers can load."""
    DDIMPipeline(unet, DDIMScheduler()).save_pretrained(folder)
    write_json(folder / "scheduler" / "scheduler_config.json", scheduler)
    path = folder / "model_index.json"
    index = json.loads(path.read_text())
    index |= {"scheduler": ["diffusers", scheduler["_class_name"]], "id2label": dict(enumerate(NAMES))}
    write_json(path, index if null_class is None else {**index, "null_class": null_class})


if __name__ == "__main__":
    try:
        main()
    except DdimEdgeError as error:
        raise SystemExit(f"fashion_mnist: {error}") from None
