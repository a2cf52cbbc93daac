"""Images a second beside diffusers' DDIMPipeline in torch, eager and compiled."""

import statistics
from typing import Any

from ddim_edge.benchmark.rounds import Notify

from ..harness import column, compare, interleaved, workers
from . import Subject
from .worker import KINDS, MODULE, settings_of

# Few steps where a batch is large: both sides do the same thing at every step, and the ratio is what counts.
NUM_STEPS = {1: 50, 16: 20, 64: 10}
ROUNDS = {1: 15, 16: 9, 64: 7}
BARS = {1: 1.6, 16: 1.3, 64: 1.3}


def measure(subject: Subject, notify: Notify) -> dict[str, Any]:
    """Medians of interleaved rounds at each batch size, with the ratios to ours."""
    return {"rows": [_row(subject, size, notify) for size in NUM_STEPS]}


def _row(subject: Subject, batch_size: int, notify: Notify) -> dict[str, Any]:
    num_steps, rounds = NUM_STEPS[batch_size], ROUNDS[batch_size]
    notify(f"throughput at batch {batch_size}: starting {', '.join(KINDS)}")
    with workers(MODULE, {kind: settings_of(kind, subject, batch_size, num_steps) for kind in KINDS}) as measures:
        taken = interleaved(measures, rounds, notify)
    seconds = column(taken, "seconds")
    sides = {
        kind: {
            "images_per_second": round(batch_size / statistics.median(seconds[kind]), 3),
            "peak_mib": taken[kind][-1]["peak_mib"],
            **compare(seconds["ours"], seconds[kind]),
        }
        for kind in KINDS
    }
    return {"batch_size": batch_size, "num_steps": num_steps, "rounds": rounds, "bar": BARS[batch_size], "sides": sides}
