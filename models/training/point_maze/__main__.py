"""``python -m models.training.point_maze``: makes demonstrations, trains the policy on them, and exports it.

An interrupted run continues from its last checkpoint. So does a finished run that is given more steps.
"""

from pathlib import Path

import click
import torch

from ddim_edge.bundle.layout import SCHEDULER
from ddim_edge.config import read_json
from ddim_edge.errors import DdimEdgeError
from ddim_edge_export import show_stages
from ddim_edge_export.output.record import update_hashes, write_json
from ddim_edge_export.policy.lerobot import export_policy

from ..recipe import Recipe
from .demonstrations import Demonstrations
from .saving import CONFIG, save_lerobot, statistics_of
from .train import train

STEPS = 4_000


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default="runs/point-maze", show_default=True)
@click.option("--episodes", default=2000, show_default=True, help="Demonstrations.")
@click.option("--steps", default=STEPS, show_default=True, help="Optimizer steps of 128 chunks.")
@click.option("--threads", default=torch.get_num_threads(), show_default=True, help="Threads of PyTorch.")
@click.option("--regression", is_flag=True, help="Train on noise alone: the mean action, for comparison.")
def main(out: Path, episodes: int, steps: int, threads: int, *, regression: bool) -> None:
    """Train a policy for a maze. Writes OUT/demonstrations.npz, OUT/lerobot and the bundle OUT/bundle.

    With --regression the folders are OUT/regression/lerobot and OUT/regression/bundle.
    """
    torch.set_num_threads(threads)
    out.mkdir(parents=True, exist_ok=True)
    shown = Demonstrations.load_or_make(out / "demonstrations.npz", episodes)
    click.echo(f"{len(shown.chunks)} chunks of actions")
    folder = out / "regression" if regression else out
    folder.mkdir(exist_ok=True)
    recipe = Recipe(steps=steps, batch_size=128, learning_rate=1e-3)
    statistics = statistics_of(shown)
    unet = train(CONFIG, shown, statistics, recipe, folder / "checkpoint.pt", regression=regression)
    save_lerobot(unet, statistics, folder / "lerobot")
    with show_stages() as on_stage:
        export_policy(folder / "lerobot", folder / "bundle", on_stage=on_stage)
    begin_at_the_last_timestep(folder / "bundle")
    click.echo(f"{folder / 'bundle'}")


def begin_at_the_last_timestep(bundle: Path) -> None:
    """Have the runs of a bundle begin there: with LeRobot's spacing short ones begin at a lower noise level."""
    path = bundle / SCHEDULER
    write_json(path, {**read_json(path), "timestep_spacing": "trailing"})
    update_hashes(bundle, [path])


if __name__ == "__main__":
    try:
        main()
    except DdimEdgeError as error:
        raise SystemExit(f"point_maze: {error}") from None
