"""Worker process that measures one configuration of ddim-edge: ``python -m ddim_edge.benchmark.worker SETTINGS``."""

import itertools
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..generation.jobs import job_of
from ..generation.pipeline import Pipeline, load
from ..generation.requests.named_arrays import zeros_for
from ..generation.requests.option_table import Options
from ..generation.requests.request import Request
from ..generation.warmup import warm_up
from ..runtime.hardware.memory import peak_memory
from ..runtime.workers.child import Record, Respond, serve

SAMPLER = "ddim"
"""The sampler for all sides and models: the time of a step hardly depends on it."""
_WARM_UP_SEED = 2**40


class Watch:
    """Times the network calls of a denoiser, by its ``on_call``: start of the first, end of the last, and their sum."""

    def __init__(self) -> None:
        self.began, self.ended = 0.0, 0.0
        self._seconds = 0.0

    def call(self, _rows: int, seconds: float) -> None:
        """Record a call that has just ended after ``seconds``."""
        self.ended = time.perf_counter()
        self.began = self.began or self.ended - seconds
        self._seconds += seconds

    def take(self) -> float:
        """The seconds in calls since the last ``take``."""
        seconds, self._seconds = self._seconds, 0.0
        return seconds


def open_ours(settings: Mapping[str, Any]) -> tuple[Record, Respond]:
    """Open the bundle and warm up; returns the facts of what runs, and the function that responds to requests."""
    began = time.perf_counter()
    how = {"precision": settings["precision"], "build": not settings["no_build"]}
    pipeline = load(settings["bundle"], settings["provider"], **how)
    opened = time.perf_counter()
    request = _request(pipeline, settings, _WARM_UP_SEED)
    warm_up(pipeline, request)
    facts = {
        "provider": pipeline.provider,
        "precision": precision_of(pipeline),
        "guidance_scale": request.guidance_scale,
        "guided": job_of(pipeline.bundle, request, 0, pipeline.components).unconditional is not None,
        "reads_text": pipeline.components.text is not None,
        "decodes": pipeline.components.vae is not None,
        "sample_shape": pipeline.bundle.sample_shape_for(request.height, request.width),
        "open_seconds": opened - began,
        "warm_up_seconds": time.perf_counter() - opened,
    }
    return facts, partial(_respond, pipeline, settings)


def precision_of(pipeline: Pipeline) -> str:
    """The type of the network's prediction: fp32 or fp16."""
    denoiser = pipeline.denoiser
    return f"fp{8 * denoiser.session.outputs[denoiser.output].dtype.itemsize}"


def _respond(pipeline: Pipeline, settings: Mapping[str, Any], request: Mapping[str, Any]) -> Record:
    if "predict" in request:
        return _predict(pipeline, _request(pipeline, settings, 0), Path(request["predict"]))
    return _measure(pipeline, _request(pipeline, settings, request["seed"]))


def _request(pipeline: Pipeline, settings: Mapping[str, Any], seed: int) -> Request:
    batch = settings["batch"]
    options: Options = {
        "num_images": batch,
        "batch_size": batch,
        "num_steps": settings["steps"],
        "seed": seed,
        "sampler": SAMPLER,
        "eta": 0.0,
        "height": settings["height"],
        "width": settings["width"],
        "guidance_scale": settings["guidance_scale"],
    }
    if pipeline.bundle.inputs.text:  # new ones each time: what was encoded lately is not encoded again
        options["prompt"] = [f"picture number {seed * batch + index}" for index in range(batch)]
    if pipeline.bundle.free_inputs:
        options["conditioning"] = zeros_for(pipeline.bundle)
    return pipeline.request(**options)


def _measure(pipeline: Pipeline, request: Request) -> Record:
    """Measure one run. A step is the time between two yields of the pipeline; the last one includes decoding.

    So all steps but the last count, unless there is only one, of which the network call alone is known.
    """
    watch, marks, calls = Watch(), list[float](), list[float]()
    pipeline.denoiser.on_call = watch.call
    began = time.perf_counter()
    for _ in pipeline.run(request):
        marks.append(time.perf_counter())
        calls.append(watch.take())
    steps = [end - start for start, end in itertools.pairwise([watch.began, *marks])]
    alone = len(steps) == 1
    return {
        "image": marks[-1] - began,
        "steps": calls if alone else steps[:-1],
        "calls": None if alone else calls[:-1],
        "prepare": watch.began - began,
        "finish": marks[-1] - watch.ended,
        "peak_memory": peak_memory(),
    }


def _predict(pipeline: Pipeline, request: Request, path: Path) -> Record:
    """Write the inputs and the prediction of one network call as .npz, for another side to compare with."""
    job = job_of(pipeline.bundle, request, 0, pipeline.components)
    job.query = next(job.sampler)
    row = job.row()._replace(unconditional=None)
    prediction = pipeline.denoiser.predict([row])
    inputs: dict[str, Any] = {"sample": row.sample, "timestep": np.array([row.timestep]), **row.conditioning}
    np.savez(path, prediction=prediction, **inputs)
    return {}


if __name__ == "__main__":
    serve(open_ours)
