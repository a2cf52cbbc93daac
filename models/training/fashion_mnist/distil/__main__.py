"""``python -m models.training.fashion_mnist.distil``: distils the bundled model to few calls and exports the student.

An interrupted run continues: the trajectories from the last whole file, the networks from their last checkpoints.
"""

import dataclasses
from pathlib import Path

import click
from diffusers import UNet2DModel

from ddim_edge.errors import DdimEdgeError
from ddim_edge_export import export_folder, show_stages

from ...recipe import noise_schedule_keys
from ..__main__ import save_pipeline
from ..data import DEFAULT_FOLDER
from ..train import shuffled_batches
from . import student
from .features import RECIPE as FEATURES
from .features import train_features
from .teacher import LEVELS, guided, read_unet
from .trajectories import make

TEACHER = Path(__file__).parents[3] / "fashion-mnist"


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default="runs/fashion-mnist-turbo", show_default=True)
@click.option("--teacher", type=click.Path(path_type=Path), default=TEACHER, show_default=True, help="A bundle.")
@click.option("--data", type=click.Path(path_type=Path), default=DEFAULT_FOLDER, show_default=True)
@click.option("--trajectories", default=8_192, show_default=True, help="Images of the teacher to learn from.")
@click.option("--steps", default=student.RECIPE.steps, show_default=True, help="Optimizer steps of the student.")
def main(out: Path, teacher: Path, data: Path, trajectories: int, steps: int) -> None:
    """Distil TEACHER. Writes OUT/trajectories, checkpoints, OUT/diffusers and the bundle OUT/bundle."""
    unet = distil(out, teacher, data, trajectories, steps)
    save_pipeline(unet, out / "diffusers", SCHEDULER, null_class=None)
    with show_stages() as on_stage:
        export_folder(out / "diffusers", out / "bundle", on_stage=on_stage)
    click.echo(f"{out / 'bundle'}")


def distil(out: Path, teacher: Path, data: Path, trajectories: int, steps: int) -> UNet2DModel:
    """Make the trajectories, train the feature network and the student, or read what is there of them."""
    out.mkdir(parents=True, exist_ok=True)
    graph = teacher / "unet" / "model.onnx"
    found = make(guided(read_unet(graph)), trajectories, out / "trajectories")
    features = train_features(shuffled_batches(FEATURES, data), out / "features.pt")
    recipe = dataclasses.replace(student.RECIPE, steps=steps)
    real = shuffled_batches(recipe, data)
    return student.distil(read_unet(graph), features, found, real, recipe, out / "student.pt")


SCHEDULER = {
    **noise_schedule_keys("LCMScheduler", num_steps=len(LEVELS)),
    "original_inference_steps": len(LEVELS),
    "timestep_scaling": 10.0,
}
"""LCM's, whose timesteps are LEVELS, or some of them in a run of fewer steps."""


if __name__ == "__main__":
    try:
        main()
    except DdimEdgeError as error:
        raise SystemExit(f"distil: {error}") from None
