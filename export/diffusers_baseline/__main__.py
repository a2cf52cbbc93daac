"""Worker process for one configuration of diffusers: ``python -m ddim_edge_export.diffusers_baseline SETTINGS``."""

import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ddim_edge.runtime.hardware.memory import peak_memory
from ddim_edge.runtime.workers.child import Record, Respond, serve

from .conditioning import unet_arguments
from .loop import Denoise, Loop
from .networks import DTYPES, Networks, Place, load_networks

EAGER = "eager"


def open_baseline(settings: Mapping[str, Any]) -> tuple[Record, Respond]:
    """Load, compile where that is wanted, run once to warm up, and say what runs where."""
    began = time.perf_counter()
    source, device = settings["source"], settings["device"]
    _keep_float32()
    dtype = DTYPES[settings["precision"]]
    networks = load_networks(Place(Path(settings["bundle"]), Path(source) if source else None, device, dtype))
    denoise = _denoise(networks, settings["mode"], device)
    loop = Loop(
        networks,
        denoise,
        batch=settings["batch"],
        steps=settings["steps"],
        sample_shape=tuple(settings["sample_shape"]),
        guidance_scale=settings["guidance_scale"],
    )
    opened = time.perf_counter()
    loop.run(0)
    facts = {
        "provider": device,
        "precision": settings["precision"],
        "weights": "the source's" if source else "random",
        "reads_text": bool(networks.text_encoders),
        "decodes": networks.vae is not None,
        "open_seconds": opened - began,
        "warm_up_seconds": time.perf_counter() - opened,
    }
    return facts, partial(_answer, networks, denoise, loop)


def _keep_float32() -> None:
    """Products of float32 in float32 on a GPU, as the runtime asks ONNX Runtime for them: not in TF32."""
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False


def _denoise(networks: Networks, mode: str, device: str) -> Denoise:
    """The UNet as it comes, or compiled, with its channels last on a GPU, as diffusers' documentation advises."""
    unet: Denoise = networks.unet
    if mode == EAGER:
        return unet
    if device.startswith("cuda"):
        networks.unet.to(memory_format=torch.channels_last)
    compiled: Denoise = torch.compile(unet, mode=mode, fullgraph=True)
    return compiled


def _answer(networks: Networks, denoise: Denoise, loop: Loop, question: Mapping[str, Any]) -> Record:
    if "compare" in question:
        return {"difference": _difference(networks, denoise, loop.rows, Path(question["compare"]))}
    taken = loop.run(question["seed"])
    return {**taken._asdict(), "calls": None, "peak_memory": peak_memory()}


@torch.no_grad()
def _difference(networks: Networks, denoise: Denoise, rows: int, path: Path) -> float:
    """Root mean square of the difference from a written answer to the same question, in those of that answer."""
    with np.load(path) as file:
        inputs = {name: file[name] for name in file.files}
    expected = inputs.pop("prediction").astype(np.float64)
    arguments = unet_arguments(inputs, rows, networks.unet)
    # As the pipelines do: one timestep for all rows, of no dimension, or it would be compiled anew.
    timestep = arguments.pop("timestep")[0]
    answer = denoise(arguments.pop("sample"), timestep, **arguments).sample
    got = answer[:1].cpu().numpy().astype(np.float64)
    return float(np.sqrt(np.square(got - expected).mean() / np.square(expected).mean()))


if __name__ == "__main__":
    serve(open_baseline)
