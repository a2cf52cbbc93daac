"""The share of wall time that is not spent inside ``InferenceSession.run``."""

import statistics
from typing import Any

from ddim_edge.benchmark.rounds import Notify

from ..harness import interleaved, workers
from . import Subject
from .worker import MODULE, settings_of

NUM_STEPS = 50
BARS = {1: 0.03, 16: 0.01}
RUNS = {1: 21, 16: 9}


def measure(subject: Subject, notify: Notify) -> dict[str, Any]:
    """The median share, and its lowest and highest, of whole 50-step runs at each batch size."""
    return {"num_steps": NUM_STEPS, "rows": [row(subject, size, RUNS[size], notify) for size in BARS]}


def row(subject: Subject, batch_size: int, runs: int, notify: Notify) -> dict[str, Any]:
    """The share at one batch size."""
    name = f"overhead at batch {batch_size}"
    with workers(MODULE, {name: settings_of("ours", subject, batch_size, NUM_STEPS)}) as measures:
        taken = interleaved(measures, runs, notify)[name]
    shares = [1 - run["session_seconds"] / run["seconds"] for run in taken]
    return {
        "batch_size": batch_size,
        "runs": len(taken),
        "share": round(statistics.median(shares), 5),
        "range": [round(min(shares), 5), round(max(shares), 5)],
        "bar": BARS[batch_size],
        "seconds": round(statistics.median(run["seconds"] for run in taken), 4),
        "peak_mib": taken[-1]["peak_mib"],
    }
