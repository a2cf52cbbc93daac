"""(e) What guidance between two noise levels saves beside guidance everywhere, at the model's own sampler and steps."""

import statistics
import time
from typing import Any

import ddim_edge

from ..quality.plan import rows_per_image
from .processes import Notify, Subject

SCALE = 1.5
INTERVAL = (0.2, 10.0)
NUM_IMAGES = 16
ROUNDS = 15


def measure(subject: Subject, notify: Notify) -> dict[str, Any]:
    """Medians of whole runs of 16 images, turn by turn in one process: both use the one session."""
    pipeline = ddim_edge.load(subject.bundle, provider="cpu")
    intervals = {"everywhere": None, "interval": INTERVAL}
    requests = {
        name: pipeline.request(num_images=NUM_IMAGES, guidance_scale=SCALE, guidance_interval=between)
        for name, between in intervals.items()
    }
    seconds: dict[str, list[float]] = {name: [] for name in requests}
    for number in range(ROUNDS + 1):
        notify(f"guidance interval, round {number} of {ROUNDS}")
        for name, request in requests.items():
            taken = _timed(pipeline, request)
            seconds[name] += [taken] if number else []  # the first round warms up
    saved = [1 - less / all_ for less, all_ in zip(seconds["interval"], seconds["everywhere"], strict=True)]
    medians = {name: statistics.median(taken) for name, taken in seconds.items()}
    return {
        "interval": INTERVAL,
        "rows_per_image": {name: rows_per_image(request) for name, request in requests.items()},
        "seconds": {name: round(median, 4) for name, median in medians.items()},
        "saved": round(1 - medians["interval"] / medians["everywhere"], 4),
        "range": [round(min(saved), 4), round(max(saved), 4)],
    }


def _timed(pipeline: ddim_edge.Pipeline, request: ddim_edge.Request) -> float:
    start = time.perf_counter()
    for _ in pipeline.run(request):
        pass
    return time.perf_counter() - start
