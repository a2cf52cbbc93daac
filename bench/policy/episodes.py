"""Episodes of the maze: many balls, each in an environment of its own, whose actions are decided together."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from ddim_edge.arrays import Array, Sample
from ddim_edge.policy.window import Observation
from models.training.point_maze.maze import LIMIT, Maze, Seen, Start


class Decides(Protocol):
    """What an episode needs of a policy: ours, or torch's."""

    def reset(self, seed: int | None = None) -> None: ...
    def observe_many(self, observations: Sequence[Observation]) -> None: ...
    def act_many(self, observations: Sequence[Observation]) -> Sample: ...


class Episode(NamedTuple):
    """How an episode ended: after so many actions, at the goal or not. ``path``: the places, float32 (T + 1, 2)."""

    success: bool
    actions: int
    path: Sample


_MAZES: list[Maze] = []


def maze(number: int) -> Maze:
    """The environment of ball ``number``, which is used again: it takes long to make."""
    while len(_MAZES) <= number:
        _MAZES.append(Maze())
    return _MAZES[number]


def play(policy: Decides, starts: Sequence[Start], seed: int) -> list[Episode]:
    """Play an episode from each start. Ball k has the noise of ``seed`` + k.

    A ball at its goal stays there, and is decided for until all are there or ``LIMIT`` actions were made.
    """
    policy.reset(seed)
    balls = [_Ball(maze(number), start) for number, start in enumerate(starts)]
    waiting = np.empty((len(balls), 0, 2), np.float32)
    for _ in range(LIMIT):
        seen = [ball.seen for ball in balls]
        if waiting.shape[1]:
            policy.observe_many(seen)
        else:
            waiting = policy.act_many(seen)
        for ball, action in zip(balls, waiting[:, 0], strict=True):
            ball.push(action)
        waiting = waiting[:, 1:]
        if all(ball.success for ball in balls):
            break
    return [ball.episode for ball in balls]


class _Ball:
    """One ball, until it is at its goal."""

    def __init__(self, maze: Maze, start: Start) -> None:
        self._maze, self.success = maze, False
        self.seen: Seen = maze.reset(start)
        self._path = [self._place]

    def push(self, action: Array) -> None:
        if self.success:
            return
        self.seen, self.success = self._maze.step(action)
        self._path.append(self._place)

    @property
    def _place(self) -> Sample:
        return self.seen["observation.state"][:2]

    @property
    def episode(self) -> Episode:
        return Episode(self.success, len(self._path) - 1, np.stack(self._path))
