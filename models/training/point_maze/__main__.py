"""``python -m models.training.point_maze``: demonstrates, trains the policy and its rival, and exports both.

An interrupted run continues from its last checkpoint.
"""

import dataclasses
from pathlib import Path

import click
import torch

from ddim_edge.errors import DdimEdgeError
from ddim_edge_export import export_policy, show_stages

from .data import examples_of, statistics_of
from .expert import EPISODES, demonstrations
from .lerobot import save_policy
from .train import RECIPE, train, train_mean


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default="runs/point-maze", show_default=True)
@click.option("--steps", default=RECIPE.steps, show_default=True, help="Optimizer steps of 128 chunks.")
@click.option("--mean-steps", default=RECIPE.steps // 4, show_default=True, help="Those of the regression.")
@click.option("--episodes", default=EPISODES, show_default=True, help="Demonstrations.")
@click.option("--threads", default=2, show_default=True)
def main(out: Path, steps: int, mean_steps: int, episodes: int, threads: int) -> None:
    """Train a policy for the maze. Writes OUT/lerobot, the bundle OUT/policy, and OUT/mean, which regresses."""
    torch.set_num_threads(threads)
    out.mkdir(parents=True, exist_ok=True)
    shown = demonstrations(episodes)
    statistics = statistics_of(shown)
    examples = examples_of(shown, statistics)
    click.echo(f"{len(examples.chunks)} steps of {len(shown)} demonstrations")
    unet = train(examples, dataclasses.replace(RECIPE, steps=steps), out / "checkpoint.pt")
    save_policy(out / "lerobot", unet, statistics)
    mean = train_mean(examples, dataclasses.replace(RECIPE, steps=mean_steps), out / "mean.pt")
    one_step = {"prediction_type": "sample", "num_inference_steps": 1, "num_train_timesteps": 1}
    save_policy(out / "lerobot-mean", mean, statistics, **one_step)
    with show_stages() as on_stage:
        export_policy(out / "lerobot", out / "policy", on_stage=on_stage)
        export_policy(out / "lerobot-mean", out / "mean", on_stage=on_stage)


if __name__ == "__main__":
    try:
        main()
    except DdimEdgeError as error:
        raise SystemExit(f"point_maze: {error}") from None
