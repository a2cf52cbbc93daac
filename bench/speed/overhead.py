"""(a) The share of wall time that is not spent inside ``InferenceSession.run``."""

import statistics
from typing import Any

from .processes import Notify, Subject, Worker, interleaved

NUM_STEPS = 50
BARS = {1: 0.03, 16: 0.01}
RUNS = {1: 21, 16: 9}


def measure(subject: Subject, notify: Notify) -> dict[str, Any]:
    """The median share, and its lowest and highest, of whole 50-step runs at each batch size."""
    return {"num_steps": NUM_STEPS, "rows": [_row(subject, size, notify) for size in BARS]}


def _row(subject: Subject, batch_size: int, notify: Notify) -> dict[str, Any]:
    notify(f"overhead at batch {batch_size}")
    with Worker("ours", subject, batch_size, NUM_STEPS) as worker:
        taken = interleaved([worker], RUNS[batch_size], notify)["ours"]
    shares = [1 - run.session_seconds / run.seconds for run in taken]
    return {
        "batch_size": batch_size,
        "runs": len(taken),
        "share": round(statistics.median(shares), 5),
        "range": [round(min(shares), 5), round(max(shares), 5)],
        "bar": BARS[batch_size],
        "seconds": round(statistics.median(run.seconds for run in taken), 4),
        "peak_mib": round(taken[-1].peak_mib),
    }
