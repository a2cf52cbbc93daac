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
from .networks import DTYPES, Networks, Placement, load_networks

EAGER = "eager"


def open_baseline(settings: Mapping[str, Any]) -> tuple[Record, Respond]:
    """Load the networks, compile them if wanted, run once as a warm-up. Returns facts and the function for requests."""
    began = time.perf_counter()
    source, device = settings["source"], settings["device"]
    _keep_float32()
    dtype = DTYPES[settings["precision"]]
    networks = load_networks(Placement(Path(settings["bundle"]), Path(source) if source else None, device, dtype))
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
    """On a GPU, multiply float32 in float32, not in TF32, as ddim-edge sets it for ONNX Runtime."""
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False


def _denoise(networks: Networks, mode: str, device: str) -> Denoise:
    """The UNet, eager or compiled. Compiled on a GPU it has channels last, as diffusers' documentation advises."""
    unet: Denoise = networks.unet
    if mode == EAGER:
        return unet
    if device.startswith("cuda"):
        networks.unet.to(memory_format=torch.channels_last)
    compiled: Denoise = torch.compile(unet, mode=mode, fullgraph=True)
    return compiled


def _answer(networks: Networks, denoise: Denoise, loop: Loop, request: Mapping[str, Any]) -> Record:
    if "compare" in request:
        return {"difference": _difference(networks, denoise, loop.rows, Path(request["compare"]))}
    timings = loop.run(request["seed"])
    return {**timings._asdict(), "calls": None, "peak_memory": peak_memory()}


@torch.no_grad()
def _difference(networks: Networks, denoise: Denoise, rows: int, path: Path) -> float:
    """Root mean square of the difference from a saved prediction for the same inputs, relative to that prediction's."""
    with np.load(path) as file:
        inputs = {name: file[name] for name in file.files}
    expected = inputs.pop("prediction").astype(np.float64)
    arguments = unet_arguments(inputs, rows, networks.unet)
    # As in the pipelines: one 0-dimensional timestep for all rows. Another shape would be compiled again.
    timestep = arguments.pop("timestep")[0]
    prediction = denoise(arguments.pop("sample"), timestep, **arguments).sample
    got = prediction[:1].cpu().numpy().astype(np.float64)
    return float(np.sqrt(np.square(got - expected).mean() / np.square(expected).mean()))


if __name__ == "__main__":
    serve(open_baseline)
