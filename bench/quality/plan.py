"""Which cells there are: a scan over guidance scales, the two cells that matter, and the table of the DDIM paper."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

SCAN_SCALES = (1.0, 1.5, 2.0)
SCAN_STEPS = 50
LABEL_SCALE = 1.5
"""The guidance of `make run`, at which the labels are counted."""
TABLE_SCALE = 1.0
"""The paper's table has no guidance."""
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


def headline(best_scale: float, num_images: int) -> list[Cell]:
    """50 steps, eta 0: at the best guidance scale, and at the one at which labels are counted."""
    return [Cell(SCAN_STEPS, 0.0, scale, num_images) for scale in sorted({best_scale, LABEL_SCALE})]


def best_scale(measured: Iterable[dict[str, Any]]) -> float:
    """The guidance scale of the least Fréchet distance."""
    return float(min(measured, key=lambda row: float(row["distance"]))["guidance_scale"])


def table(num_images: int) -> list[Cell]:
    """S × eta without guidance, with ``num_images`` up to 50 steps, and beyond in proportion fewer (at least 20)."""
    settings = [(steps, eta) for steps in TABLE_STEPS for eta in TABLE_ETAS] + [(SLOW_STEPS, eta) for eta in SLOW_ETAS]
    return [Cell(steps, eta, TABLE_SCALE, max(20, num_images * 50 // max(steps, 50))) for steps, eta in settings]
