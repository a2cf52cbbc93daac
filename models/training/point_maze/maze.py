"""The task: PointMaze of gymnasium-robotics, where forces push a ball to a goal, with two ways round a block."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from gymnasium_robotics.envs.maze.point_maze import PointMazeEnv

from ddim_edge.arrays import Array, Sample

MAP = (
    "#######",
    "#.....#",
    "#.###.#",
    "#.###.#",
    "#.###.#",
    "#.....#",
    "#######",
)
"""A wall is #; a cell is one metre wide. Every cell and the opposite one are joined by two ways of one length."""
HZ = 20
"""Actions a second."""
LIMIT = 80
"""The actions of an episode: four seconds."""
STATE, GOAL = "observation.state", "observation.environment_state"
Cell = tuple[int, int]
"""Row and column."""
Seen = dict[str, Sample]
"""STATE: position and velocity, float32 (4,), in m and m/s. GOAL: its position, float32 (2,), in m."""

_PHYSICS_HZ = 100


class Start(NamedTuple):
    """Where an episode begins: the ball's cell and the goal's, and the seed of the place in each."""

    cell: Cell
    goal: Cell
    seed: int


def start_of(seed: int) -> Start:
    """The start of this seed: in any cell, with the goal in the opposite one."""
    free = list(cells())
    row, column = free[np.random.default_rng([seed, 0]).integers(len(free))]
    return Start((row, column), (len(MAP) - 1 - row, len(MAP[0]) - 1 - column), seed)


def cells() -> Iterator[Cell]:
    """The cells without a wall."""
    for row, line in enumerate(MAP):
        yield from ((row, column) for column, kind in enumerate(line) if kind == ".")


def middle_of(cell: Cell) -> Array:
    """The middle of a cell, float64 (x, y), in m."""
    row, column = cell
    return np.array([column + 0.5 - len(MAP[0]) / 2, len(MAP) / 2 - row - 0.5])


class Maze:
    """The environment of one ball. Its physics and its test of success are gymnasium-robotics' own."""

    def __init__(self) -> None:
        walls: list[list[Any]] = [[int(kind == "#") for kind in line] for line in MAP]
        self._env = PointMazeEnv(maze_map=walls, continuing_task=False)
        Path(self._env.tmp_xml_file_path).unlink()  # it leaves a file in the system's folder for each environment
        self._env.point_env.frame_skip = _PHYSICS_HZ // HZ

    def reset(self, start: Start) -> Seen:
        """Put ball and goal where ``start`` says, the ball at rest."""
        options = {"reset_cell": np.array(start.cell), "goal_cell": np.array(start.goal)}
        return _seen(self._env.reset(seed=start.seed, options=options)[0])

    def step(self, action: Array) -> tuple[Seen, bool]:
        """Push for 1/HZ seconds with these forces, (x, y) in [-1, 1]. Returns what is seen, and whether the goal is
        reached: the ball is within 0.45 m of it.
        """
        seen, _, _, _, info = self._env.step(action)
        return _seen(seen), bool(info["success"])


def _seen(found: dict[str, Array]) -> Seen:
    return {STATE: found["observation"].astype(np.float32), GOAL: found["desired_goal"].astype(np.float32)}
