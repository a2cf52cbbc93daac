"""The wall time that is not spent inside ``InferenceSession.run``: microseconds a step, and the share of the whole."""

import statistics
from typing import Any, NamedTuple

from ddim_edge.benchmark.rounds import Notify

from ..harness import interleaved, workers
from . import Subject
from .worker import MODULE, settings_of


class Case(NamedTuple):
    """A kind of run, and what was wanted of it: microseconds a step at most, or a share."""

    name: str
    batch_size: int = 1
    num_steps: int = 50
    sampler: str = "ddim"
    guidance_scale: float = 1.0
    runs: int = 21
    wanted_us: float | None = None
    wanted_share: float | None = None


CASES = (
    Case("DDIM", wanted_us=100),
    Case("DDIM, guided", guidance_scale=3.0, wanted_us=150),
    Case("DPM-Solver++", num_steps=8, sampler="dpmpp-2m", wanted_us=150),
    Case("DDIM", batch_size=16, runs=9, wanted_share=0.01),
)


def measure(subject: Subject, notify: Notify) -> dict[str, Any]:
    """For each case the median of whole runs, and the lowest and highest."""
    return {"rows": [row(subject, case, case.runs, notify) for case in CASES]}


def row(subject: Subject, case: Case, runs: int, notify: Notify) -> dict[str, Any]:
    """The figures of one case. The network's share of a step depends on its speed; the microseconds do not."""
    name = f"overhead of {case.name} at batch {case.batch_size}"
    options = {"sampler": case.sampler, "guidance_scale": case.guidance_scale}
    settings = settings_of("ours", subject, case.batch_size, case.num_steps, **options)
    with workers(MODULE, {name: settings}) as measures:
        taken = interleaved(measures, runs, notify)[name]
    outside = [run["seconds"] - run["session_seconds"] for run in taken]
    microseconds = [1e6 * seconds / case.num_steps for seconds in outside]
    shares = [seconds / run["seconds"] for seconds, run in zip(outside, taken, strict=True)]
    return {
        **case._asdict(),
        "runs": len(taken),
        "microseconds": round(statistics.median(microseconds), 1),
        "microseconds_range": [round(min(microseconds), 1), round(max(microseconds), 1)],
        "share": round(statistics.median(shares), 5),
        "range": [round(min(shares), 5), round(max(shares), 5)],
        "seconds": round(statistics.median(run["seconds"] for run in taken), 4),
        "peak_mib": taken[-1]["peak_mib"],
    }
