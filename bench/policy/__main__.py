"""``python -m bench.policy``: measures the maze's policy. Writes bench/results/policy.json, docs/point-maze.gif.

``--run`` is what ``python -m models.training.point_maze`` wrote; the bundle itself is models/point-maze.
"""

from pathlib import Path
from typing import Any

import click

from bench.results import ROOT, environment, read, write

from . import latency, success
from .deciders import Ours
from .episodes import play
from .picture import write_gif
from .report import table

_DRAWN = 24
"""Episodes in the picture."""


@click.command()
@click.option("--part", type=click.Choice(["success", "latency", "picture", "all"]), default="all", show_default=True)
@click.option("--bundle", type=click.Path(path_type=Path), default=ROOT / "models" / "point-maze", show_default=True)
@click.option("--run", type=click.Path(path_type=Path), default=ROOT / "runs" / "point-maze", show_default=True)
@click.option("--episodes", default=200, show_default=True, help="A cell.")
@click.option("--paired", default=1000, show_default=True, help="Episodes of 8 steps beside 100.")
@click.option("--rounds", default=5, show_default=True)
@click.option("--decisions", default=100, show_default=True, help="A round.")
@click.option("--compile/--no-compile", "compiled", default=True, show_default=True)
def main(
    part: str, bundle: Path, run: Path, episodes: int, paired: int, rounds: int, decisions: int, compiled: bool
) -> None:
    """Measure how often the policy reaches the goal, and how long it takes to decide."""
    record: dict[str, Any] = {**read("policy"), **environment("numpy", "onnxruntime", "torch", "diffusers", "mujoco")}
    if part in ("picture", "all"):
        own = success.open_policy(bundle, 8)
        write_gif(ROOT / "docs" / "point-maze.gif", play(Ours(own), _DRAWN))
    if part in ("success", "all"):
        record["success"] = success.measure(bundle, run / "lerobot", run / "mean", episodes, paired)
        write("policy", record)
    if part in ("latency", "all"):
        record["latency"] = latency.measure(bundle, run / "lerobot", rounds, decisions, compiled=compiled)
        write("policy", record)
    click.echo(table(record))


if __name__ == "__main__":
    main()
