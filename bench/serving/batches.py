"""How the baseline uses the engine: the images of some requests step together until the last one is finished."""

from collections.abc import Sequence
from typing import Any

from ddim_edge.arrays import Pixels
from ddim_edge.bundle.bundle import Bundle
from ddim_edge.generation.engine import Engine
from ddim_edge.generation.jobs import job_of
from ddim_edge.generation.requests.options import request_of
from ddim_edge.generation.requests.request import Request
from ddim_edge.images.encode import to_pixels
from ddim_edge.networks.denoiser import Denoiser

MODEL = "fashion-mnist"
MAX_ROWS = 16


def request_of_body(bundle: Bundle, body: dict[str, Any]) -> Request:
    """The request that ``ddim-edge serve`` makes of the same JSON."""
    return request_of(
        bundle,
        {
            "num_images": body["n"],
            "labels": body["labels"],
            "num_steps": body["num_inference_steps"],
            "sampler": body["sampler"],
            "seed": body["seed"],
            "batch_size": 1,
        },
    )


def run_to_end(denoiser: Denoiser, bundle: Bundle, requests: Sequence[Request]) -> list[list[Pixels]]:
    """The images of each request, uint8 (H, W, C); at most MAX_ROWS rows a call, in the order of the requests."""
    engine = Engine(denoiser, MAX_ROWS)
    jobs = [[job_of(bundle, request, index) for index in range(request.num_images)] for request in requests]
    for job in (job for each in jobs for job in each):
        engine.add(job)
    while engine.jobs:
        engine.step()
    return [[to_pixels(job.result())[0] for job in each] for each in jobs]
