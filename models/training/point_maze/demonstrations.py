"""Demonstrations: episodes of the expert, cut into windows of observations and chunks of actions."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np

from ddim_edge.arrays import Sample
from ddim_edge.files import atomic_write

from .expert import Expert
from .maze import GOAL, LIMIT, STATE, Maze, start_of

N_OBS_STEPS, HORIZON = 2, 16
FIRST_SEED = 1_000_000
"""Seeds of demonstrations begin here, and those of measurements at 0: no start is in both."""

_SHAKING = 0.15
_SHOVE = 0.6
_SHOVED = 0.05


class Demonstrations(NamedTuple):
    """What the policy is trained on, in the units of the task.

    Attributes:
        states: float32 (N, N_OBS_STEPS, 4).
        goals: float32 (N, N_OBS_STEPS, 2).
        chunks: float32 (N, HORIZON, 2); the first action belongs to the oldest observation, as in LeRobot.
    """

    states: Sample
    goals: Sample
    chunks: Sample

    @classmethod
    def load_or_make(cls, path: Path, episodes: int) -> Self:
        """Those in ``path``, or new ones, which are written there."""
        if path.exists():
            with np.load(path) as file:
                return cls(file["states"], file["goals"], file["chunks"])
        made = cls.made(episodes)
        with atomic_write(path) as file:
            np.savez(file, **made._asdict())
        return made

    @classmethod
    def made(cls, episodes: int) -> Self:
        """Those of so many episodes."""
        maze = Maze()
        return cls.joined(_episode(maze, FIRST_SEED + index) for index in range(episodes))

    @classmethod
    def joined(cls, parts: Iterable[tuple[Sample, Sample, Sample]]) -> Self:
        states, goals, chunks = zip(*parts, strict=True)
        return cls(np.concatenate(states), np.concatenate(goals), np.concatenate(chunks))


def _episode(maze: Maze, seed: int) -> tuple[Sample, Sample, Sample]:
    """The windows of one episode, which goes on for a chunk after the goal is reached.

    What is done differs from what the expert wanted, now and then by much, so that it shows how to get back onto its
    way (Laskey et al. 2017, https://arxiv.org/abs/1703.09327).
    """
    random, start = np.random.default_rng([seed, 1]), start_of(seed)
    expert, seen = Expert(start, random), maze.reset(start)
    states, goals, actions, left = [], [], [], LIMIT
    while left:
        wanted = expert.act(seen)
        states.append(seen[STATE])
        goals.append(seen[GOAL])
        actions.append(wanted)
        size = _SHOVE if random.random() < _SHOVED else _SHAKING
        seen, is_there = maze.step(wanted + size * random.standard_normal(2))
        left = min(left - 1, HORIZON) if is_there else left - 1
    return _windows(np.stack(states), N_OBS_STEPS), _windows(np.stack(goals), N_OBS_STEPS), _chunks(np.stack(actions))


def _windows(values: Sample, length: int) -> Sample:
    """(T, width) to (T - HORIZON + N_OBS_STEPS, length, width): the first value stands for those before it."""
    before = np.repeat(values[:1], N_OBS_STEPS - 1, axis=0)
    cut = np.lib.stride_tricks.sliding_window_view(np.concatenate([before, values]), length, axis=0)
    return np.ascontiguousarray(cut.swapaxes(1, 2)[: len(values) - HORIZON + N_OBS_STEPS])


def _chunks(actions: Sample) -> Sample:
    return _windows(actions, HORIZON)
