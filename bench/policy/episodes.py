"""Plays episodes of the maze, many at once, and counts those that reach the goal."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from models.training.point_maze.maze import Array, Maze, Seen

AT_ONCE = 100
FIRST_START = 10_000
"""The seeds of the starts begin here: none was demonstrated."""


class Decider(Protocol):
    """What decides for several balls together."""

    def reset(self, seed: int) -> None:
        """Begin episodes; ball k has the noise of ``seed`` + k."""

    def observe(self, seen: Sequence[Seen]) -> None:
        """Note what each ball observes between two decisions."""

    def act(self, seen: Sequence[Seen]) -> Array:
        """The actions to execute, float32 (balls, n, 2)."""


class Episode(NamedTuple):
    """How an episode ended: whether the goal was reached, after how many actions, and the places of the ball."""

    is_success: bool
    steps: int
    places: list[tuple[float, float]]


def play(decider: Decider, count: int, first: int = FIRST_START, at_once: int = AT_ONCE) -> list[Episode]:
    """Play ``count`` episodes, ``at_once`` together, from the starts of the seeds from ``first`` on."""
    mazes = [Maze() for _ in range(min(at_once, count))]
    episodes: list[Episode] = []
    for begin in range(0, count, at_once):
        episodes += _together(decider, mazes[: count - begin], first + begin)
    return episodes


def _together(decider: Decider, mazes: Sequence[Maze], first: int) -> list[Episode]:
    decider.reset(first)
    seen = [maze.reset(first + index) for index, maze in enumerate(mazes)]
    places: list[list[Any]] = [[] for _ in mazes]
    while not all(maze.has_ended for maze in mazes):
        actions = decider.act(seen)
        for step in range(actions.shape[1]):
            if step:
                decider.observe(seen)
            for index, maze in enumerate(mazes):
                if not maze.has_ended:
                    seen[index] = maze.step(actions[index, step])
                    places[index].append(tuple(map(float, seen[index]["observation.state"][:2])))
    return [Episode(maze.is_success, maze.steps, path) for maze, path in zip(mazes, places, strict=True)]


class Rate(NamedTuple):
    """A rate of success, in percent, with its 95 % interval (Wilson)."""

    percent: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.percent:.1f} ({self.low:.1f} to {self.high:.1f})"


_Z = 1.959964


def rate(successes: int, count: int) -> Rate:
    """The rate of ``successes`` among ``count`` episodes."""
    share, z2 = successes / count, _Z**2
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    reach = _Z * math.sqrt(share * (1 - share) / count + z2 / (4 * count**2)) / (1 + z2 / count)
    return Rate(100 * share, 100 * max(0.0, middle - reach), 100 * min(1.0, middle + reach))


def paired_difference(first: Sequence[Episode], second: Sequence[Episode]) -> Rate:
    """How many more percent of the same starts the first reached, with a 95 % interval (normal approximation)."""
    differences = [one.is_success - other.is_success for one, other in zip(first, second, strict=True)]
    count = len(differences)
    mean = sum(differences) / count
    deviation = math.sqrt(sum((one - mean) ** 2 for one in differences) / (count - 1) / count)
    return Rate(100 * mean, 100 * (mean - _Z * deviation), 100 * (mean + _Z * deviation))
