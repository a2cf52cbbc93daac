"""Plans how to make images within a limit of memory: whole or in tiles, in turns, few rows in a network call."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

_MARGIN = 1.04
"""For what the estimates of activations leave out."""


class Plan(NamedTuple):
    """How to make the images of a request.

    Attributes:
        tile: side of the autoencoder's tiles in pixels; None to work on whole images.
        turns: whether only one network is in memory at a time.
        rows: most rows of a network call; None for no limit.
    """

    tile: int | None = None
    turns: bool = False
    rows: int | None = None


@dataclass(frozen=True)
class Needs:
    """The bytes that a request needs.

    Attributes:
        base: what the process has beside networks.
        weights: private bytes of each network's weights, by name.
        kept: the names of the networks that stay in memory together with the one that runs, also in turns.
        row: activations of the UNet, for each row of a call.
        rows: rows of its largest call.
        pixel: activations of the autoencoder, for each pixel of the image or tile that it works on.
        fixed: what the other networks take, or opening one.
        sides: height and width of the image in pixels.
        tiles: the sides of tiles that may be used, largest first; None among them is the whole image.
        turns: whether one network at a time may be in memory: no, yes or both.
        slices: whether a call may have fewer rows than the request's batch.
    """

    base: int
    weights: Mapping[str, int]
    kept: frozenset[str]
    row: int
    rows: int
    pixel: int
    fixed: int
    sides: tuple[int, int]
    tiles: Sequence[int | None]
    turns: Sequence[bool] = (False, True)
    slices: bool = True

    def of(self, plan: Plan) -> int:
        """The most bytes in memory at a time with this plan."""
        height, width = (side if plan.tile is None else min(side, plan.tile) for side in self.sides)
        rows = self.rows if plan.rows is None else min(plan.rows, self.rows)
        calls = max(rows * self.row, height * width * self.pixel, self.fixed)
        return int(self.base + self._weights(plan) + _MARGIN * calls)

    def _weights(self, plan: Plan) -> int:
        if not plan.turns:
            return sum(self.weights.values())
        kept = sum(size for name, size in self.weights.items() if name in self.kept)
        return kept + max((size for name, size in self.weights.items() if name not in self.kept), default=0)


def choose(needs: Needs, limit: int) -> Plan | None:
    """The plan that changes the images least and takes the least time within ``limit`` bytes; None if none fits.

    Tiles change pixels: they come last, and the largest first. Turns open networks again for every batch.
    """
    return next((plan for plan in _plans(needs) if needs.of(plan) <= limit), None)


def least(needs: Needs) -> int:
    """The smallest limit, in bytes, for which there is a plan."""
    return min(map(needs.of, _plans(needs)))


def _plans(needs: Needs) -> Iterator[Plan]:
    """All plans, the best first."""
    for tile in needs.tiles:
        for turns in needs.turns:
            for rows in _rows(needs.rows if needs.slices else 1):
                yield Plan(tile, turns, rows)


def _rows(most: int) -> Iterator[int | None]:
    yield None
    while most > 1:
        most = (most + 1) // 2
        yield most
