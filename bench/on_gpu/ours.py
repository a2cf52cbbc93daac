"""Worker process for ddim-edge: ``python -m bench.on_gpu.ours SETTINGS``.

It runs the UNet alone, so that networks with random weights need neither text encoders nor an autoencoder.
"""

import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ddim_edge.arrays import Conditioning
from ddim_edge.benchmark.worker import Watch
from ddim_edge.diffusion.samplers import DdimConfig, start
from ddim_edge.generation.engine import Engine, Job
from ddim_edge.networks.denoiser import Denoiser
from ddim_edge.runtime.hardware.memory import peak_memory
from ddim_edge.runtime.providers.device import Device
from ddim_edge.runtime.sessions.session import Session
from ddim_edge.runtime.workers.child import Record, Respond, serve

KINDS = ("plain", "bound", "graph", "fused")
"""Arrays in host memory; buffers on the device; these with CUDA graphs; these with the step in the graph."""
_WARM_UP_RUNS = 3


def our_session(kind: str, bundle: Path, provider: str) -> Session:
    """Open the session of a kind."""
    captures = {"enable_cuda_graph": str(int(kind in ("graph", "fused")))} if provider.startswith("cuda") else {}
    graph = bundle / "unet" / ("unet_step.onnx" if kind == "fused" else "model.onnx")
    return Session(graph, Device.parse(provider, captures), bound=kind != "plain")


def open_ours(settings: Mapping[str, Any]) -> tuple[Record, Respond]:
    """Open the session, warm up, and return the facts of it."""
    began = time.perf_counter()
    session = our_session(settings["kind"], Path(settings["bundle"]), settings["provider"])
    denoiser = Denoiser(session)
    opened = time.perf_counter()
    for seed in range(_WARM_UP_RUNS):
        _run(denoiser, settings, seed)
    guided = settings["guidance_scale"] is not None
    facts = {
        "provider": session.provider,
        "precision": f"fp{8 * session.outputs[denoiser.output].dtype.itemsize}",
        "guided": guided,
        "open_seconds": opened - began,
        "warm_up_seconds": time.perf_counter() - opened,
    }
    return facts, partial(_answer, denoiser, settings)


def _answer(denoiser: Denoiser, settings: Mapping[str, Any], question: Mapping[str, Any]) -> Record:
    if "predict" in question:
        return _predict(denoiser, settings, Path(question["predict"]))
    if "save" in question:
        return _save(denoiser, settings, Path(question["save"]))
    return _run(denoiser, settings, question["seed"])


def _run(denoiser: Denoiser, settings: Mapping[str, Any], seed: int) -> Record:
    """One batch of images. A step is a turn of the engine; the first begins with its network call."""
    watch, marks, calls = Watch(), list[float](), list[float]()
    denoiser.on_call = watch.call
    began = time.perf_counter()
    engine = Engine(denoiser, max_rows=2 * settings["batch"])
    jobs = _jobs(settings, seed)
    for job in jobs:
        engine.add(job)
    prepared = time.perf_counter()
    while engine.jobs:
        engine.step()
        marks.append(time.perf_counter())
        calls.append(watch.take())
    for job in jobs:
        np.asarray(job.result())
    ended = time.perf_counter()
    steps = [end - start for start, end in zip([prepared, *marks], marks, strict=False)]
    shared = {"image": ended - began, "steps": steps, "calls": calls}
    return {**shared, "prepare": prepared - began, "finish": ended - marks[-1], "peak_memory": peak_memory()}


def _save(denoiser: Denoiser, settings: Mapping[str, Any], path: Path) -> Record:
    """Write the images of seed 0 as .npy, for another kind to compare with."""
    engine, jobs = Engine(denoiser, max_rows=2 * settings["batch"]), _jobs(settings, 0)
    for job in jobs:
        engine.add(job)
    while engine.jobs:
        engine.step()
    np.save(path, np.concatenate([np.asarray(job.result()) for job in jobs]))
    return {}


def _jobs(settings: Mapping[str, Any], seed: int) -> list[Job]:
    random = np.random.default_rng(seed)
    config = DdimConfig()
    shape = (1, *settings["sample_shape"])
    return [
        Job(
            sampler=start(config, settings["steps"], random.standard_normal(shape, np.float32)),
            conditioning=_conditioning(settings, random),
            unconditional=None if settings["guidance_scale"] is None else _conditioning(settings, random),
            guidance_scale=settings["guidance_scale"] or 1.0,
        )
        for _ in range(settings["batch"])
    ]


def _conditioning(settings: Mapping[str, Any], random: np.random.Generator) -> Conditioning:
    """Random numbers for one row, read-only, so that they are uploaded once an image."""
    found: dict[str, Any] = {}
    for name, shape in settings["conditioning"].items():
        found[name] = random.standard_normal((1, *shape), np.float32) if shape else np.array([1])
        found[name].setflags(write=False)
    return found


def _predict(denoiser: Denoiser, settings: Mapping[str, Any], path: Path) -> Record:
    """Write the inputs and the output of one call, as ``ddim_edge.benchmark.worker`` does."""
    job = _jobs(settings, 0)[0]
    job.query = next(job.sampler)
    row = job.row()._replace(unconditional=None)
    answer = denoiser.predict([row])
    inputs: dict[str, Any] = {"sample": row.sample, "timestep": np.array([row.timestep]), **row.conditioning}
    np.savez(path, prediction=answer, **inputs)
    return {}


if __name__ == "__main__":
    serve(open_ours)
