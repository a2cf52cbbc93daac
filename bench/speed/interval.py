"""The time that guidance between two noise levels saves beside guidance everywhere, with the model's own sampler."""

import statistics
import time
from functools import partial
from typing import Any

import ddim_edge
from ddim_edge.benchmark.rounds import Notify

from ..harness import interleaved
from ..quality.plan import rows_per_image
from . import Subject

SCALE = 1.5
INTERVAL = (0.2, 10.0)
NUM_IMAGES = 16
ROUNDS = 15


def measure(subject: Subject, notify: Notify) -> dict[str, Any]:
    """Medians of whole runs of 16 images, interleaved in one process: both use one session."""
    pipeline = ddim_edge.load(subject.bundle, provider="cpu")
    requests = {
        name: pipeline.request(num_images=NUM_IMAGES, guidance_scale=SCALE, guidance_interval=between)
        for name, between in {"everywhere": None, "interval": INTERVAL}.items()
    }
    measures = {name: partial(_timed, pipeline, request) for name, request in requests.items()}
    seconds = interleaved(measures, ROUNDS, notify, warm_up=1)
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
