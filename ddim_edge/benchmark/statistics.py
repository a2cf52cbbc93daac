"""Computes the figures of a configuration from its rounds."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

Round = Mapping[str, Any]
"""The measurements of one run: seconds of the whole ``image``, of its ``steps``, of the network ``calls`` in them,
before the first call (``prepare``) and after the last (``finish``); the peak of memory so far in bytes."""

Spread = dict[str, float]


def spread(values: Sequence[float]) -> Spread:
    """Median and 95th percentile, between the nearest values as numpy's percentile takes it."""
    return {"median": statistics.median(values), "p95": _quantile(sorted(values), 0.95)}


def _quantile(ordered: Sequence[float], share: float) -> float:
    place = share * (len(ordered) - 1)
    below, above = ordered[math.floor(place)], ordered[math.ceil(place)]
    return below + (above - below) * (place - math.floor(place))


def figures(rounds: Sequence[Round], batch: int) -> dict[str, Any]:
    """All figures of a configuration, in seconds and bytes; None for what was not measured."""
    steps = [seconds for taken in rounds for seconds in taken["steps"]]
    image = spread([taken["image"] for taken in rounds])
    return {
        "step": spread(steps),
        "image": image,
        "prepare": _spread_of(rounds, "prepare"),
        "finish": _spread_of(rounds, "finish"),
        "images_per_second": batch / image["median"],
        "idle_share": _idle_share(rounds),
        "gpu_memory": _largest(rounds, "gpu_memory"),
        "peak_memory": _largest(rounds, "peak_memory"),
    }


def _spread_of(rounds: Sequence[Round], part: str) -> Spread | None:
    values = [taken[part] for taken in rounds if taken[part] is not None]
    return spread(values) if values else None


def _largest(rounds: Sequence[Round], memory: str) -> int | None:
    return max((taken[memory] for taken in rounds if taken[memory] is not None), default=None)


def _idle_share(rounds: Sequence[Round]) -> float | None:
    """The share of the steps' time outside network calls: on a GPU, how long it waits for the host."""
    known = [taken for taken in rounds if taken["calls"] is not None]
    seconds = sum(sum(taken["steps"]) for taken in known)
    return 1 - sum(sum(taken["calls"]) for taken in known) / seconds if seconds else None
