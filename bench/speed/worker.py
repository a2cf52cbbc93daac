"""One configuration in a process of its own: it makes one batch whenever a line arrives, and says how long that took.

Several live sessions in one process spin against each other, so what is compared never shares a process.
"""

import functools
import importlib
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

Generate = Callable[[], Any]
KINDS = ("ours", "eager", "compiled")


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


def ours(bundle: Path, batch_size: int, num_steps: int, stopwatch: Stopwatch) -> Generate:
    """The runtime under test, its ONNX Runtime session watched."""
    import ddim_edge

    onnxruntime: Any = importlib.import_module("onnxruntime")
    onnxruntime.InferenceSession.run = stopwatch.watch(onnxruntime.InferenceSession.run)
    pipeline = ddim_edge.load(bundle, provider="cpu")
    return lambda: pipeline.generate(num_images=batch_size, num_steps=num_steps, batch_size=batch_size, sampler="ddim")


def theirs(bundle: Path, batch_size: int, num_steps: int, trained: Path | None, *, compiled: bool) -> Generate:
    """DDIMPipeline of diffusers in torch, eager or with its UNet compiled."""
    from . import diffusers_side

    pipeline = diffusers_side.make_pipeline(bundle, trained, batch_size)
    if compiled:
        pipeline.unet.compile()
    return lambda: diffusers_side.generate(pipeline, batch_size, num_steps)


@click.command()
@click.argument("kind", type=click.Choice(KINDS))
@click.option("--bundle", type=click.Path(path_type=Path), required=True)
@click.option("--diffusers-folder", type=click.Path(path_type=Path))
@click.option("--batch-size", type=int, required=True)
@click.option("--num-steps", type=int, required=True)
def main(kind: str, bundle: Path, diffusers_folder: Path | None, batch_size: int, num_steps: int) -> None:
    """Answer every line on standard input with one measurement, as a line of JSON."""
    stopwatch = Stopwatch()
    if kind == "ours":
        generate = ours(bundle, batch_size, num_steps, stopwatch)
    else:
        generate = theirs(bundle, batch_size, num_steps, diffusers_folder, compiled=kind == "compiled")
    generate()  # warm up: memory, caches, compilation
    print("ready", flush=True)
    for _ in sys.stdin:
        print(json.dumps(_measure(generate, stopwatch)), flush=True)


def _measure(generate: Generate, stopwatch: Stopwatch) -> dict[str, float]:
    stopwatch.take()
    start = time.perf_counter()
    generate()
    seconds = time.perf_counter() - start
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"seconds": seconds, "session_seconds": stopwatch.take(), "peak_mib": peak_kib / 1024}


if __name__ == "__main__":
    main()
