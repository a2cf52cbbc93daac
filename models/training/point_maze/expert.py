"""Demonstrations of an expert that plans: it takes either way, as a coin says, and steers from corner to corner."""

from typing import NamedTuple

import numpy as np

from .maze import CORNERS, GOAL, STATE, Array, Maze

EPISODES = 300
_STIFFNESS, _DAMPING = 8.0, 1.0
_NEAR_CORNER = 0.35
_WOBBLE = 0.3
"""Standard deviation of what is added to a force when it is applied, so that there are demonstrations of recovering."""


class Demonstration(NamedTuple):
    """One episode: observations (steps, 4) and (steps, 2), and the expert's actions (steps, 2), all float32."""

    states: Array
    goals: Array
    actions: Array


def demonstrations(episodes: int = EPISODES, seed: int = 0) -> list[Demonstration]:
    """Successful episodes of the expert, with the starts of the seeds from ``seed`` on."""
    maze = Maze()
    return [_demonstrate(maze, seed + episode) for episode in range(episodes)]


def _demonstrate(maze: Maze, seed: int) -> Demonstration:
    random = np.random.default_rng(seed)
    way = list(CORNERS)[random.integers(2)]
    seen, steps = maze.reset(seed), []
    targets = [*(maze.place_of(cell) for cell in CORNERS[way]), seen[GOAL]]
    while not maze.has_ended:
        place, velocity = seen[STATE][:2], seen[STATE][2:]
        if len(targets) > 1 and np.linalg.norm(targets[0] - place) < _NEAR_CORNER:
            targets.pop(0)
        action = np.clip(_STIFFNESS * (targets[0] - place) - _DAMPING * velocity, -1, 1).astype(np.float32)
        steps.append((seen[STATE], seen[GOAL], action))
        seen = maze.step(action + random.normal(0, _WOBBLE, 2).astype(np.float32))
    assert maze.is_success, f"the expert failed from the start of seed {seed}"
    return Demonstration(*map(np.stack, zip(*steps, strict=True)))
