"""Worker process: makes one batch of images per request, with ddim-edge or with diffusers, and returns the times."""

import functools
import importlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ddim_edge.runtime.hardware.memory import peak_memory
from ddim_edge.runtime.workers.child import Record, Respond, serve

from . import Subject

MODULE = "bench.speed.worker"
KINDS = ("ours", "eager", "compiled")
Generate = Callable[[], Any]


def settings_of(kind: str, subject: Subject, batch_size: int, num_steps: int, **options: Any) -> dict[str, Any]:
    """The settings of a worker of this kind, one of KINDS. ``options``: further ones of ours for ``generate``."""
    folder = subject.diffusers_folder
    shared = {"bundle": str(subject.bundle), "batch_size": batch_size, "num_steps": num_steps}
    return {**shared, "kind": kind, "options": options, "diffusers_folder": None if folder is None else str(folder)}


class Stopwatch:
    """Seconds spent inside ``InferenceSession.run`` since the last ``take``."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def watch(self, run: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(run)
        def timed(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            try:
                return run(*args, **kwargs)
            finally:
                self.seconds += time.perf_counter() - start

        return timed

    def take(self) -> float:
        seconds, self.seconds = self.seconds, 0.0
        return seconds


def open_side(settings: Mapping[str, Any]) -> tuple[Record, Respond]:
    """Open the pipeline and make one batch to warm up: memory, caches, compilation."""
    stopwatch = Stopwatch()
    generate = _ours(settings, stopwatch) if settings["kind"] == "ours" else _diffusers(settings)
    generate()
    return {}, lambda _request: _measure(generate, stopwatch)


def _ours(settings: Mapping[str, Any], stopwatch: Stopwatch) -> Generate:
    import ddim_edge

    onnxruntime: Any = importlib.import_module("onnxruntime")
    onnxruntime.InferenceSession.run = stopwatch.watch(onnxruntime.InferenceSession.run)
    pipeline, size = ddim_edge.load(settings["bundle"], provider="cpu"), settings["batch_size"]
    options = {"num_images": size, "batch_size": size, "num_steps": settings["num_steps"], "sampler": "ddim"}
    options |= settings["options"]
    return lambda: pipeline.generate(**options)


def _diffusers(settings: Mapping[str, Any]) -> Generate:
    """DDIMPipeline of diffusers in torch, eager or with its UNet compiled."""
    from . import diffusers_side

    trained = settings["diffusers_folder"]
    pipeline = diffusers_side.make_pipeline(Path(settings["bundle"]), trained, settings["batch_size"])
    if settings["kind"] == "compiled":
        pipeline.unet.compile()
    return lambda: diffusers_side.generate(pipeline, settings["batch_size"], settings["num_steps"])


def _measure(generate: Generate, stopwatch: Stopwatch) -> Record:
    stopwatch.take()
    start = time.perf_counter()
    generate()
    seconds = time.perf_counter() - start
    peak_mib = round((peak_memory() or 0) / 2**20)
    return {"seconds": seconds, "session_seconds": stopwatch.take(), "peak_mib": peak_mib}


if __name__ == "__main__":
    serve(open_side)
