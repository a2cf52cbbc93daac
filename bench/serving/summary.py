"""The figures of a cell, from its outcomes, and the ratios between cells that have a bound."""

from collections.abc import Sequence

import numpy as np

from ..results import Record
from .client import TIMED_OUT, Outcome
from .trace import STEPS

PERCENTILES = (50, 95, 99)


def cell_of(outcomes: Sequence[Outcome], warm_up_requests: int) -> Record:
    """Latency of the requests after the warm-up; throughput between the first of their arrivals and the last one's.

    What ends in that window counts for the throughput, whenever it arrived, as what arrived in it and ends later does
    not: so a queue that the warm-up left can lift it above what was offered. ``to_the_end_per_second`` is free of that
    and has another edge: all that counts, over the time from the first arrival to the last answer. ``tail_s`` is how
    long the last answer came after the last arrival, ``client_late_ms`` how late requests left the client (99th
    percentile).
    """
    counted = outcomes[warm_up_requests:]
    first, last = counted[0].scheduled, counted[-1].scheduled
    ended = max(each.done for each in counted)
    answered = sum(each.status == 200 for each in counted)
    made = [each.ask.images for each in outcomes if each.status == 200 and first < each.done <= last]
    return {
        "requests": len(counted),
        "window_s": round(last - first, 2),
        "offered_per_second": round((len(counted) - 1) / (last - first), 4),
        "requests_per_second": round(len(made) / (last - first), 4),
        "images_per_second": round(sum(made) / (last - first), 4),
        "to_the_end_per_second": round(answered / (ended - first), 4),
        "latency_s": {str(steps): _latency(counted, steps) for steps in STEPS},
        "rejected": sum(each.status == 429 for each in counted),
        "timed_out": sum(each.status in (504, TIMED_OUT) for each in counted),
        "tail_s": round(ended - last, 2),
        "client_late_ms": round(1000 * float(np.percentile([each.sent - each.scheduled for each in counted], 99)), 2),
    }


def _latency(outcomes: Sequence[Outcome], steps: int) -> Record:
    seconds = [each.latency for each in outcomes if each.status == 200 and each.ask.steps == steps]
    if not seconds:
        return {"count": 0}
    points = np.percentile(seconds, PERCENTILES)
    named = {f"p{at}": round(float(point), 4) for at, point in zip(PERCENTILES, points, strict=True)}
    return {"count": len(seconds), **named}


def wanted(cells: dict[str, Record], load: int = 90) -> Record | None:
    """Ours beside batch by batch: ratios of the p95 of 10 steps (at most 0.5) and of both throughputs (at least 1)."""
    names = (f"step by step {load}", f"batch by batch {load}")
    if not all(name in cells for name in names):
        return None
    our, their = (cells[name] for name in names)
    ratios = {name: our[name] / their[name] for name in ("requests_per_second", "to_the_end_per_second")}
    return {
        "load": load,
        "p95_ratio": round(our["latency_s"]["10"]["p95"] / their["latency_s"]["10"]["p95"], 4),
        "throughput_ratio": round(ratios["requests_per_second"], 4),
        "to_the_end_ratio": round(ratios["to_the_end_per_second"], 4),
    }
