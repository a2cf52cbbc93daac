"""What two graphs that are called once an image cost the UNet beside them: by ONNX Runtime's defaults, and by ours.

The bundled UNet stands for all three. This module is the worker process, too: a process per variant.
"""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ddim_edge.benchmark.rounds import Notify
from ddim_edge.runtime.workers.child import Record, Respond, serve

from ..harness import column, compare, interleaved, workers
from . import Subject
from .unet import graph_of, open_unet

VARIANTS = ("alone", "spinning", "still")
STEPS = 8
ROUNDS = 15


def measure(subject: Subject, notify: Notify) -> dict[str, Any]:
    """Seconds of the UNet's calls in images of 8 steps: medians of interleaved rounds, a process a variant."""
    settings = {variant: {"variant": variant, "graph": graph_of(subject)} for variant in VARIANTS}
    with workers("bench.speed.spinning", settings) as measures:
        seconds = column(interleaved(measures, ROUNDS, notify, warm_up=1), "seconds")
    sides = {
        variant: {"seconds": round(statistics.median(taken), 5), **compare(seconds["alone"], taken)}
        for variant, taken in seconds.items()
    }
    return {"steps": STEPS, "rounds": ROUNDS, "sides": sides}


def open_variant(settings: Mapping[str, Any]) -> tuple[Record, Respond]:
    """Open the UNet, and unless it is alone two more graphs beside it."""
    graph, variant = settings["graph"], settings["variant"]
    ours = variant != "spinning"
    unet = open_unet(graph, ours=ours)
    beside = [open_unet(graph, ours=ours, each_step=False) for _ in range(0 if variant == "alone" else 2)]
    return {}, lambda _request: {"seconds": statistics.median(_image(unet, beside) for _ in range(3))}


def _image(unet: Callable[[], Any], beside: Sequence[Callable[[], Any]]) -> float:
    """One image: what is called before the UNet, its steps, what is called after; the seconds of a step."""
    for run in beside[:1]:
        run()
    began = time.perf_counter()
    for _ in range(STEPS):
        unet()
    taken = (time.perf_counter() - began) / STEPS
    for run in beside[1:]:
        run()
    return taken


if __name__ == "__main__":
    serve(open_variant)
