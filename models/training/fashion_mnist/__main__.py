"""``python -m models.training.fashion_mnist``: train the bundled model and export it.

An interrupted run goes on from its last checkpoint; a finished one that is given more steps, too.
"""

import json
from pathlib import Path

import click
import diffusers
import torch
from diffusers import DDIMPipeline, DDIMScheduler, UNet2DModel

from ddim_edge.errors import DdimEdgeError
from ddim_edge_export import export_folder, show_stages
from ddim_edge_export.output.record import write_json

from ..recipe import DIFFUSION, Recipe
from .data import DEFAULT_FOLDER, NAMES, NULL_CLASS
from .train import train


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default="runs/fashion-mnist", show_default=True)
@click.option("--data", type=click.Path(path_type=Path), default=DEFAULT_FOLDER, show_default=True)
@click.option("--steps", default=Recipe.steps, show_default=True, help="Optimizer steps of 64 images.")
@click.option("--device", default="cuda" if torch.cuda.is_available() else "cpu", show_default=True)
def main(out: Path, data: Path, steps: int, device: str) -> None:
    """Train a UNet on Fashion-MNIST; OUT gets checkpoint.pt, the diffusers folder diffusers/ and the bundle bundle/."""
    out.mkdir(parents=True, exist_ok=True)
    unet = train(Recipe(steps=steps), data, out / "checkpoint.pt", torch.device(device))
    save_pipeline(unet.cpu(), out / "diffusers")
    with show_stages() as on_stage:
        export_folder(out / "diffusers", out / "bundle", on_stage=on_stage)
    click.echo(f"{out / 'bundle'}")


SCHEDULER = {
    "_class_name": "DPMSolverMultistepScheduler",
    "_diffusers_version": diffusers.__version__,
    "algorithm_type": "dpmsolver++",
    "beta_end": DIFFUSION.beta_end,
    "beta_schedule": "squaredcos_cap_v2",
    "beta_start": DIFFUSION.beta_start,
    # For DDIM, which shares this file. Guidance overshoots [-1, 1] at high noise: clipping x_0 there, and keeping ε,
    # turns that against the class.
    "clip_sample": False,
    # The fewest network calls within 10 % of the least Fréchet distance: bench/README.md.
    "num_inference_steps": 8,
    "num_train_timesteps": DIFFUSION.num_train_steps,
    "prediction_type": "v_prediction",
    "set_alpha_to_one": True,
    "sigma_max": 80.0,
    "sigma_min": 0.02,
    "solver_order": 2,
    "solver_type": "midpoint",
    "timestep_spacing": "trailing",
    "use_karras_sigmas": True,
}


def save_pipeline(unet: UNet2DModel, folder: Path) -> None:
    """Save the network with its scheduler and its classes as a folder that diffusers, too, can load."""
    DDIMPipeline(unet, DDIMScheduler()).save_pretrained(folder)
    write_json(folder / "scheduler" / "scheduler_config.json", SCHEDULER)
    path = folder / "model_index.json"
    index = json.loads(path.read_text())
    index |= {"scheduler": ["diffusers", SCHEDULER["_class_name"]], "id2label": dict(enumerate(NAMES))}
    write_json(path, {**index, "null_class": NULL_CLASS})


if __name__ == "__main__":
    try:
        main()
    except DdimEdgeError as error:
        raise SystemExit(f"fashion_mnist: {error}") from None
