"""``python -m models.training.fashion_mnist_turbo``: distils the bundled model to few calls and exports the student.

An interrupted run continues: the teacher's images from the last whole file, the networks from their last checkpoints.
"""

import dataclasses
from pathlib import Path

import click
from diffusers import UNet2DModel

from ddim_edge.bundle.read import open_bundle
from ddim_edge.errors import DdimEdgeError
from ddim_edge_export import export_folder, show_stages

from ..fashion_mnist.__main__ import save_pipeline
from ..fashion_mnist.data import DEFAULT_FOLDER
from ..fashion_mnist.train import shuffled_batches
from . import student
from .features import RECIPE as FEATURES
from .features import train_features
from .pairs import make
from .teacher import guided, read_unet

TEACHER = Path(__file__).parents[2] / "fashion-mnist"


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default="runs/fashion-mnist-turbo", show_default=True)
@click.option("--teacher", type=click.Path(path_type=Path), default=TEACHER, show_default=True, help="A bundle.")
@click.option("--data", type=click.Path(path_type=Path), default=DEFAULT_FOLDER, show_default=True)
@click.option("--pairs", default=3_840, show_default=True, help="Images of the teacher to learn from.")
@click.option("--steps", default=student.RECIPE.steps, show_default=True, help="Optimizer steps of the student.")
def main(out: Path, teacher: Path, data: Path, pairs: int, steps: int) -> None:
    """Distil TEACHER. Writes OUT/pairs, checkpoints, OUT/diffusers and the bundle OUT/bundle."""
    unet = distil(out, teacher, data, pairs, steps)
    save_pipeline(unet, out / "diffusers", student.SCHEDULER, null_class=None)
    with show_stages() as on_stage:
        export_folder(out / "diffusers", out / "bundle", on_stage=on_stage)
    click.echo(f"{out / 'bundle'}")


def distil(out: Path, teacher: Path, data: Path, pairs: int, steps: int) -> UNet2DModel:
    """Make the pairs, train the feature network and the student, or read what is there of them."""
    graph = open_bundle(teacher).folder / "unet" / "model.onnx"
    out.mkdir(parents=True, exist_ok=True)
    features = train_features(shuffled_batches(FEATURES, data), out / "features.pt", FEATURES)
    found = make(guided(read_unet(graph)), pairs, out / "pairs")
    recipe = dataclasses.replace(student.RECIPE, steps=steps)
    return student.distil(read_unet(graph), features, found, shuffled_batches(recipe, data), recipe, out / "student.pt")


if __name__ == "__main__":
    try:
        main()
    except DdimEdgeError as error:
        raise SystemExit(f"fashion_mnist_turbo: {error}") from None
