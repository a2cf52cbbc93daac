"""(b) Images a second beside diffusers' DDIMPipeline in torch, eager and compiled."""

import contextlib
import statistics
from collections.abc import Sequence
from typing import Any

from .processes import Measurement, Notify, Subject, Worker, compare, interleaved
from .worker import KINDS

# Few steps where a batch is large: both sides do the same thing at every step, and the ratio is what counts.
NUM_STEPS = {1: 50, 16: 20, 64: 10}
ROUNDS = {1: 15, 16: 9, 64: 7}
BARS = {1: 1.6, 16: 1.3, 64: 1.3}


def measure(subject: Subject, notify: Notify) -> dict[str, Any]:
    """Medians of interleaved rounds at each batch size, with the ratios to ours."""
    return {"rows": [_row(subject, size, notify) for size in NUM_STEPS]}


def _row(subject: Subject, batch_size: int, notify: Notify) -> dict[str, Any]:
    num_steps = NUM_STEPS[batch_size]
    with contextlib.ExitStack() as stack:
        workers = []
        for kind in KINDS:
            notify(f"throughput at batch {batch_size}: starting {kind}")
            workers.append(stack.enter_context(Worker(kind, subject, batch_size, num_steps)))
        taken = interleaved(workers, ROUNDS[batch_size], notify)
    own = [run.seconds for run in taken["ours"]]
    sides = {kind: _side(runs, batch_size, own) for kind, runs in taken.items()}
    shape = {"batch_size": batch_size, "num_steps": num_steps, "rounds": ROUNDS[batch_size]}
    return {**shape, "bar": BARS[batch_size], "sides": sides}


def _side(runs: Sequence[Measurement], batch_size: int, own: Sequence[float]) -> dict[str, Any]:
    seconds = [run.seconds for run in runs]
    return {
        "images_per_second": round(batch_size / statistics.median(seconds), 3),
        "peak_mib": round(runs[-1].peak_mib),
        **compare(own, seconds),
    }
