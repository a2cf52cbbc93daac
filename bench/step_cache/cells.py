"""The cells: a sampler, its steps, and a step cache; and the plain runs that they are compared with."""

from typing import Any, NamedTuple

BASES = (("ddim", 50), ("ddim", 20), ("dpmpp-2m", 20), ("dpmpp-2m", 8))
CACHES = (
    ("forecast:3", None),
    ("forecast:5", 0.04),
    ("deep:2", None),
    ("deep:3", None),
    ("deep:5", None),
    ("deep:5", 0.2),
)
RIVALS = (
    *(("ddim", steps) for steps in (3, 4, 5, 8, 10, 15, 26, 35)),
    *(("dpmpp-2m", steps) for steps in (3, 4, 5, 6, 10, 12, 15)),
)
"""Plain runs besides the bases: what the same time is worth without a cache."""


class Cell(NamedTuple):
    """A setting. ``cache`` is None for a plain run."""

    sampler: str
    num_steps: int
    cache: str | None = None
    threshold: float | None = None

    @property
    def key(self) -> str:
        """Its name in the record, and that of its folder of parts."""
        adaptive = "" if self.threshold is None else f" threshold {self.threshold:g}"
        return f"{self.sampler} {self.num_steps}" + ("" if self.cache is None else f" {self.cache}{adaptive}")

    def options(self) -> dict[str, Any]:
        """The options of the run."""
        options: dict[str, Any] = {"sampler": self.sampler, "num_steps": self.num_steps}
        return options if self.cache is None else {**options, "cache": self.cache, "cache_threshold": self.threshold}


def cells() -> list[Cell]:
    """All cells, the plain ones first."""
    plain = [Cell(*base) for base in (*BASES, *RIVALS)]
    return plain + [Cell(*base, *cache) for base in BASES for cache in CACHES]
