"""The expert in the policy's place: it wants one action at a time, and is not shaken."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ddim_edge.arrays import Sample
from ddim_edge.policy.window import Observation
from models.training.point_maze.expert import Expert
from models.training.point_maze.maze import start_of


class Planner:
    """Walks from the starts of ``seed`` and of the seeds after it."""

    def reset(self, seed: int | None = None) -> None:
        self._seed, self._experts = seed or 0, list[Expert]()

    def observe_many(self, observations: Sequence[Observation]) -> None:
        """It plans from the present alone."""

    def act_many(self, observations: Sequence[Observation]) -> Sample:
        if not self._experts:
            seeds = range(self._seed, self._seed + len(observations))
            self._experts = [Expert(start_of(seed), np.random.default_rng([seed, 1])) for seed in seeds]
        wanted: list[Any] = [[expert.act(dict(seen))] for expert, seen in zip(self._experts, observations, strict=True)]
        return np.array(wanted, np.float32)
