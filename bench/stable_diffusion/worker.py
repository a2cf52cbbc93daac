"""Worker process: makes one image with ddim-edge or diffusers, writes it with its samples, returns times and memory."""

import importlib
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import ddim_edge
from ddim_edge.runtime.workers.child import Record, Respond, serve

PROMPT = "a cab"
KINDS = ("ours", "low-memory", "diffusers")


class Made(NamedTuple):
    """The image, and how long it took.

    Attributes:
        step_seconds: of each call of the UNet.
        samples: after each step.
        image: in [0, 255], (H, W, 3).
    """

    load_seconds: float
    run_seconds: float
    step_seconds: list[float]
    samples: list[NDArray[np.float32]]
    image: NDArray[np.float64]


def ours(bundle: Path, num_steps: int, *, low_memory: bool) -> Made:
    began = time.perf_counter()
    pipeline = ddim_edge.load(bundle, "cpu", low_memory=low_memory)
    request = pipeline.request(prompt=PROMPT, num_steps=num_steps)
    loaded = time.perf_counter()
    seconds, samples = list[float](), list[NDArray[np.float32]]()
    pipeline.denoiser.on_call = lambda _rows, taken: seconds.append(taken)
    for progress in pipeline.run(request):
        job = progress.jobs[0]
        samples.append((job.result() if job.query is None else job.query.sample).copy())
    assert progress.images is not None
    return Made(loaded - began, time.perf_counter() - loaded, seconds, samples, progress.images[0].astype(np.float64))


def theirs(source: Path, num_steps: int) -> Made:
    diffusers: Any = importlib.import_module("diffusers")
    torch: Any = importlib.import_module("torch")
    began = time.perf_counter()
    options = {"safety_checker": None, "requires_safety_checker": False, "local_files_only": True}
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(source, **options)
    loaded = time.perf_counter()
    seconds, samples, starts = list[float](), list[NDArray[np.float32]](), list[float]()
    pipeline.unet.register_forward_pre_hook(lambda *_: starts.append(time.perf_counter()))
    pipeline.unet.register_forward_hook(lambda *_: seconds.append(time.perf_counter() - starts[-1]))

    def keep(_pipeline: Any, _step: int, _timestep: Any, named: dict[str, Any]) -> dict[str, Any]:
        samples.append(named["latents"].numpy().copy())
        return named

    generator = torch.Generator().manual_seed(0)
    arguments = {"num_inference_steps": num_steps, "generator": generator, "output_type": "np"}
    image = pipeline(PROMPT, callback_on_step_end=keep, **arguments).images[0]
    return Made(loaded - began, time.perf_counter() - loaded, seconds, samples, image.astype(np.float64) * 255)


class Memory:
    """Peak resident memory, and the peak of its part that no file backs (sampled); MiB."""

    def __init__(self) -> None:
        self.anonymous = 0.0
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while True:
            self.anonymous = max(self.anonymous, _status("RssAnon"))
            time.sleep(0.02)

    def peaks(self) -> dict[str, float]:
        return {"peak_mib": round(_status("VmHWM")), "peak_anonymous_mib": round(self.anonymous)}


def _status(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{field}:"))


def make_image(settings: Mapping[str, Any]) -> tuple[Record, Respond]:
    """Make the image, write it and the samples to ``out`` (.npz)."""
    kind, folder, num_steps = settings["kind"], Path(settings["folder"]), settings["num_steps"]
    memory = Memory()
    low = kind == "low-memory"
    made = theirs(folder, num_steps) if kind == "diffusers" else ours(folder, num_steps, low_memory=low)
    np.savez(settings["out"], samples=np.stack(made.samples), image=made.image)
    facts = {
        "load_seconds": round(made.load_seconds, 2),
        "run_seconds": round(made.run_seconds, 2),
        "step_seconds": [round(taken, 2) for taken in made.step_seconds],
        **memory.peaks(),
    }
    return facts, lambda _request: {}


if __name__ == "__main__":
    serve(make_image)
