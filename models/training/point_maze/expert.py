"""The expert: plans both ways to the goal, takes either at random, and follows it."""

from collections.abc import Iterator

import numpy as np

from ddim_edge.arrays import Array, Sample

from .maze import GOAL, STATE, Cell, Seen, Start, cells, middle_of

_NEAR = 0.6
"""How near it comes to a point of its way, in m, before it turns to the next."""
_BESIDE = 0.15
"""How far beside the middles of cells it walks at most, in m."""
_SPEEDS = (2.0, 3.0)
_GAIN = 0.3
_SLOWING = 2.5
"""The speed at the end of the way, in m/s for each metre that is left."""


def ways(start: Cell, goal: Cell) -> list[list[Cell]]:
    """Every way from ``start`` to ``goal`` that enters no cell twice, the shortest first."""
    free = set(cells())

    def onward(way: list[Cell]) -> Iterator[list[Cell]]:
        row, column = way[-1]
        if way[-1] == goal:
            yield way
            return
        for cell in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
            if cell in free and cell not in way:
                yield from onward([*way, cell])

    return sorted(onward([start]), key=len)


class Expert:
    """One walk to the goal. Way, speed, and how far beside the middle it goes are drawn from ``random``."""

    def __init__(self, start: Start, random: np.random.Generator) -> None:
        found = ways(start.cell, start.goal)
        shortest = [way for way in found if len(way) == len(found[0])]
        way = shortest[random.integers(len(shortest))]
        self._points = [middle_of(cell) + random.uniform(-_BESIDE, _BESIDE, 2) for cell in way[1:-1]]
        self._speed = random.uniform(*_SPEEDS)

    def act(self, seen: Seen) -> Sample:
        """The forces that it wants now, float32 (2,): they correct the velocity towards the next point."""
        place, velocity = seen[STATE][:2], seen[STATE][2:]
        while self._points and np.linalg.norm(self._points[0] - place) < _NEAR:
            self._points.pop(0)
        offset: Array = (self._points[0] if self._points else seen[GOAL]) - place
        distance = float(np.linalg.norm(offset))
        speed = self._speed if self._points else min(self._speed, _SLOWING * distance)
        wanted = speed * offset / max(distance, 1e-6)
        return np.clip(_GAIN * (wanted - velocity), -1, 1).astype(np.float32)
