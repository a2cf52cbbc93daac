"""PointMaze of gymnasium-robotics: a ball that a force pushes, and a goal behind a wall with two ways round.

#######
#     #        r  where the ball starts
#r###g#        g  where it is to go
#     #
#######
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ddim_edge.errors import ConfigError

Array = NDArray[np.float32]
Seen = Mapping[str, Array]
"""What is observed: the ball's place and velocity, (4,), and the goal's place, (2,)."""

STATE, GOAL = "observation.state", "observation.environment_state"
MAP = [
    [1, 1, 1, 1, 1, 1, 1],
    [1, 0, 0, 0, 0, 0, 1],
    [1, "r", 1, 1, 1, "g", 1],
    [1, 0, 0, 0, 0, 0, 1],
    [1, 1, 1, 1, 1, 1, 1],
]
CORNERS = {"above": ((1, 1), (1, 5)), "below": ((3, 1), (3, 5))}
"""The cells, (row, column), that each way leads through."""
REPEAT = 5
"""An action is held for five steps of the physics: 50 ms, so that 20 are decided on a second."""
MOST_STEPS = 100
"""Actions of an episode. The expert needs about 30."""


class Maze:
    """One maze, with one ball.

    Attributes:
        steps: how many actions there were in this episode.
        is_success: whether the ball has reached the goal.
    """

    def __init__(self) -> None:
        self._env = _make()
        self.steps, self.is_success = 0, False

    def reset(self, seed: int) -> Seen:
        """Begin an episode; the seed chooses where the ball and the goal are, within a quarter of a cell."""
        seen, _ = self._env.reset(seed=seed)
        self.steps, self.is_success = 0, False
        return _seen(seen)

    def step(self, action: Array) -> Seen:
        """Push with the force ``action``, (2,) in [-1, 1], for 50 ms."""
        for _ in range(REPEAT):
            seen, _, terminated, _, _ = self._env.step(np.clip(action, -1, 1))
            self.is_success |= bool(terminated)
        self.steps += 1
        return _seen(seen)

    @property
    def has_ended(self) -> bool:
        return self.is_success or self.steps >= MOST_STEPS

    def place_of(self, cell: tuple[int, int]) -> NDArray[np.float64]:
        """The middle of a cell, (2,), in meters."""
        place: NDArray[np.float64] = self._env.unwrapped.maze.cell_rowcol_to_xy(np.array(cell))
        return place


def _make() -> Any:
    try:
        import gymnasium
        import gymnasium_robotics
    except ImportError as error:
        raise ConfigError(f"{error}: pip install -r models/training/point_maze/requirements.txt") from None
    gymnasium.register_envs(gymnasium_robotics)
    options = {"maze_map": MAP, "continuing_task": False, "max_episode_steps": REPEAT * (MOST_STEPS + 1)}
    return gymnasium.make("PointMaze_UMaze-v3", **options)


def _seen(seen: Mapping[str, Any]) -> Seen:
    return {STATE: seen["observation"].astype(np.float32), GOAL: seen["desired_goal"].astype(np.float32)}
