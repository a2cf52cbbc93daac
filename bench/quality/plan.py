"""Which cells there are: a scan over guidance scales, then the table of the DDIM paper at one of them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

SCAN_SCALES = (1.0, 1.25, 1.5, 2.0, 3.0)
SCAN_STEPS = 50
TABLE_STEPS = (10, 20, 50, 100)
TABLE_ETAS = (0.0, 0.5, 1.0)
SLOW_STEPS = 1000
SLOW_ETAS = (0.0, 1.0)


@dataclass(frozen=True)
class Cell:
    """A setting: image k has seed k and class k mod 10."""

    num_steps: int
    eta: float
    guidance_scale: float
    num_images: int

    @property
    def key(self) -> str:
        return f"{self.num_steps} steps, eta {self.eta:g}, guidance {self.guidance_scale:g}, {self.num_images} images"


def scan(num_images: int) -> list[Cell]:
    """50 steps, eta 0, at every guidance scale."""
    return [Cell(SCAN_STEPS, 0.0, scale, num_images) for scale in SCAN_SCALES]


def best_scale(measured: Iterable[dict[str, Any]]) -> float:
    """The guidance scale of the least Fréchet distance."""
    return float(min(measured, key=lambda row: float(row["distance"]))["guidance_scale"])


def table(guidance_scale: float, num_images: int, slow_num_images: int) -> list[Cell]:
    """S × eta, and 1000 steps with a number of images of their own; none of those where that is 0."""
    cells = [Cell(steps, eta, guidance_scale, num_images) for steps in TABLE_STEPS for eta in TABLE_ETAS]
    slow = [Cell(SLOW_STEPS, eta, guidance_scale, slow_num_images) for eta in SLOW_ETAS]
    return cells + slow if slow_num_images else cells
