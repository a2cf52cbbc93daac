"""What the policy is trained on: windows of observations and chunks of actions, as LeRobot cuts them."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from .expert import Demonstration
from .maze import GOAL, STATE, Array

N_OBS_STEPS, HORIZON, N_ACTION_STEPS = 2, 16, 8
ACTION = "action"
Statistics = Mapping[str, Mapping[str, Array]]
"""min and max, mean and std, of each observation and of the actions, by name."""


class Examples(NamedTuple):
    """N examples: the conditioning, float32 (N, D), and normalized chunks, float32 (N, horizon, 2)."""

    conditions: torch.Tensor
    chunks: torch.Tensor


def statistics_of(episodes: Sequence[Demonstration]) -> Statistics:
    """Over all steps of all episodes."""
    names = {STATE: "states", GOAL: "goals", ACTION: "actions"}
    every = {name: np.concatenate([getattr(episode, part) for episode in episodes]) for name, part in names.items()}
    return {
        name: {key: getattr(np, key)(values, axis=0).astype(np.float32) for key in ("min", "max", "mean", "std")}
        for name, values in every.items()
    }


def examples_of(episodes: Sequence[Demonstration], statistics: Statistics) -> Examples:
    """An example for each step. Beyond an episode's ends its first and its last step are repeated."""
    parts = [_of_episode(episode, statistics) for episode in episodes]
    conditions, chunks = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return Examples(torch.from_numpy(conditions), torch.from_numpy(chunks))


def _of_episode(episode: Demonstration, statistics: Statistics) -> tuple[Array, Array]:
    steps = len(episode.actions)
    seen = np.concatenate(
        [_normalized(episode.states, statistics[STATE]), _normalized(episode.goals, statistics[GOAL])], axis=1
    )
    windows = seen[_steps_around(steps, N_OBS_STEPS)].reshape(steps, -1)
    return windows, _normalized(episode.actions, statistics[ACTION])[_steps_around(steps, HORIZON)]


def _steps_around(steps: int, count: int) -> NDArray[np.int64]:
    """For each step ``count`` steps, from the oldest that is observed on, (steps, count)."""
    first = np.arange(steps)[:, None] - (N_OBS_STEPS - 1)
    return np.clip(first + np.arange(count), 0, steps - 1)


def _normalized(values: Array, statistics: Mapping[str, Array]) -> Array:
    low, high = statistics["min"], statistics["max"]
    result: Array = 2 * (values - low) / (high - low) - 1
    return result
