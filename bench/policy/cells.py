"""Cells: what is asked of the policy, and how often it succeeds then."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import ddim_edge
from ddim_edge import Policy
from ddim_edge.arrays import Sample
from ddim_edge.policy.decision import Decision
from ddim_edge.policy.window import Observation
from ddim_edge.runtime.providers.device import Device
from models.training.point_maze.maze import start_of

from ..results import Record
from . import BUNDLE, EPISODES, PAIRED
from .episodes import Decides, Episode, play
from .planner import Planner
from .torch_side import TorchPolicy

STEPS = (1, 2, 4, 8, 16, 100)
SAMPLERS = ("ddpm", "dpmpp-2m", "unipc", "deis", "dpmpp-2s", "heun", "euler", "euler-a", "lcm")
WARM = ((4, 0.25), (4, 0.5), (8, 0.25), (8, 0.5), (16, 0.25))
PROMPT = 70
"""The actions in which the planner makes three of four walks: who hesitates needs more."""
_EVERY_ACTION = 1e6
"""The range factor: actions beyond the trained range are no error here. The maze limits forces itself."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """What is asked of the policy.

    Attributes:
        side: ``ours``, ``torch``, ``regression``, which is another network, or ``planner``, which was imitated.
        sampler: its name; ``ddim-leading`` is DDIM with LeRobot's spacing of timesteps.
        num_steps: of a run.
        warm_start: the part of the steps that is made from the chunk before; None for whole runs.
        episodes: how many, from the starts 0, 1, …
    """

    side: str = "ours"
    sampler: str = "ddim"
    num_steps: int
    warm_start: float | None = None
    episodes: int = EPISODES

    @property
    def name(self) -> str:
        """What the cell has in the results."""
        return " ".join(f"{key}={value}" for key, value in asdict(self).items() if value is not None)


def cells(*, with_regression: bool) -> Iterator[Cell]:
    """All cells, the quick ones first."""
    yield from (Cell(num_steps=steps) for steps in STEPS[:-1])
    yield Cell(side="planner", num_steps=0)
    if with_regression:
        yield Cell(side="regression", num_steps=1)
    yield from (Cell(num_steps=steps, warm_start=part) for steps, part in WARM)
    yield from (Cell(sampler=name, num_steps=steps) for name in ("ddim-leading", *SAMPLERS) for steps in (4, 8))
    yield from (Cell(side="torch", num_steps=steps) for steps in STEPS[:-1])
    yield from (Cell(num_steps=100, side=side) for side in ("ours", "torch"))
    yield Cell(sampler="ddpm", num_steps=100)
    yield from (Cell(num_steps=steps, episodes=PAIRED) for steps in (8, 100))


def measure(cell: Cell, regression: Path) -> Record:
    """Play the episodes of a cell: the successes, also those within ``PROMPT`` actions, and the mean of the actions."""
    policy = opened(cell, regression)
    played: list[Episode] = []
    for first in range(0, cell.episodes, EPISODES):
        starts = [start_of(seed) for seed in range(first, min(first + EPISODES, cell.episodes))]
        played += play(policy, starts, seed=first)
    return {
        **asdict(cell),
        "successes": sum(one.success for one in played),
        "failed_starts": [seed for seed, one in enumerate(played) if not one.success],
        "within": sum(one.success and one.actions <= PROMPT for one in played),
        "actions": round(sum(one.actions for one in played) / len(played), 1),
    }


def opened(cell: Cell, regression: Path) -> Decides:
    """The policy of a cell."""
    if cell.side == "planner":
        return Planner()
    if cell.side == "torch":
        return TorchPolicy(BUNDLE, cell.num_steps)
    policy = open_ours(regression if cell.side == "regression" else BUNDLE, cell.sampler, cell.num_steps)
    return Asking(policy, warm_start=cell.warm_start)


def open_ours(bundle: Path, sampler: str, num_steps: int) -> Policy:
    """Our policy, on one thread."""
    name, leading, _ = sampler.partition("-leading")
    load = partial(ddim_edge.load_policy, bundle, Device("cpu", threads=1), num_steps=num_steps, warm_up=False)
    policy = load(sampler=name, range_factor=_EVERY_ACTION)
    if not leading:
        return policy
    config = policy.bundle.own_sampler.replace(timestep_spacing="leading")
    return load(sampler=config, range_factor=_EVERY_ACTION)


class Asking:
    """Our policy, asked with the same options each time. ``decisions``: how each came about."""

    def __init__(self, policy: Policy, **options: Any) -> None:
        self._policy, self._options = policy, options
        self.reset, self.observe_many = policy.reset, policy.observe_many
        self.decisions: list[Decision] = []

    def act_many(self, observations: Sequence[Observation]) -> Sample:
        actions = self._policy.act_many(observations, **self._options)
        if self._policy.last is not None:
            self.decisions.append(self._policy.last)
        return actions
