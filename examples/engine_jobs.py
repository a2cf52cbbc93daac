"""``Engine`` with jobs made by hand: three samplers with different numbers of steps share every network call."""

import sys
from functools import partial

import numpy as np
from PIL import Image

import ddim_edge
from ddim_edge.diffusion.noise import noise_stream
from ddim_edge.images.encode import grid, to_pixels

SAMPLERS = {"ddim": 12, "dpmpp-2m": 8, "ddpm": 16}
"""The number of steps of each."""


def make_job(pipeline: ddim_edge.Pipeline, name: str, seed: int, label: str) -> ddim_edge.Job:
    """The job of one image, guided away from the null class at scale 2."""
    bundle = pipeline.bundle
    draw = partial(noise_stream(seed), (1, *bundle.sample_shape))
    sampler = ddim_edge.start(bundle.sampler(name), SAMPLERS[name], draw(), noise=draw)
    return ddim_edge.Job(
        sampler,
        conditioning={"class_labels": np.array([bundle.class_index(label)])},
        unconditional={"class_labels": np.array([bundle.null_class])},
        guidance_scale=2.0,
    )


def main(out: str = "engine_jobs.png") -> None:
    pipeline = ddim_edge.load("fashion-mnist", provider="cpu")
    jobs = {name: make_job(pipeline, name, seed, "sneaker") for seed, name in enumerate(SAMPLERS)}
    engine = ddim_edge.Engine(pipeline.denoiser, max_rows=16)
    for job in jobs.values():
        engine.add(job)  # also possible between any two steps
    calls = 0
    while engine.jobs:
        ended = engine.step()  # one network call for all jobs, each at its own timestep
        calls += 1
        for name, job in jobs.items():
            if job in ended:
                print(f"{name} has ended after network call {calls}")
    samples = np.concatenate([job.result() for job in jobs.values()])
    Image.fromarray(grid(to_pixels(samples))[..., 0]).save(out)


if __name__ == "__main__":
    main(*sys.argv[1:2])
