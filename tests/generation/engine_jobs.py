"""Jobs of all kinds for a tiny network, engines that count their calls, and what each job must end with."""

import functools
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import ddim_edge
from ddim_edge.diffusion.guidance import guide
from ddim_edge.diffusion.noise import noise_stream
from ddim_edge.networks.denoiser import Denoiser
from tests.helpers.counting import CountingSession
from tests.helpers.tiny_bundles import NULL_CLASS, Array, tiny_prediction

SHAPE = (1, 1, 8, 8)


@dataclass(frozen=True)
class Kind:
    """Everything in which two jobs can differ."""

    num_steps: int = 4
    eta: float = 0.0
    scale: float = 1.0
    label: int = 0
    seed: int = 0

    def sampler(self) -> ddim_edge.Sampler:
        draw = noise_stream(self.seed)
        config = ddim_edge.DdimConfig(eta=self.eta)
        return ddim_edge.start(config, self.num_steps, draw(SHAPE), partial(draw, SHAPE))

    def job(self) -> ddim_edge.Job:
        return ddim_edge.Job(self.sampler(), condition(self.label), condition(NULL_CLASS), self.scale)


def condition(label: int) -> dict[str, Any]:
    return {"class_labels": np.array([label])}


@functools.cache
def alone(kind: Kind) -> Array:
    """The result without engine, denoiser or graph: a plain loop over the formula."""
    sampler = kind.sampler()
    query = next(sampler)
    while True:
        prediction = tiny_prediction(query.sample, query.timestep, kind.label)
        if kind.scale != 1:
            null = tiny_prediction(query.sample, query.timestep, NULL_CLASS)
            prediction = guide(prediction, null, np.array([kind.scale], np.float32))
        try:
            query = sampler.send(prediction)
        except StopIteration as stop:
            return np.asarray(stop.value)


def engine_on(graph: Path, max_rows: int = 64) -> tuple[ddim_edge.Engine, CountingSession]:
    session = CountingSession(graph)
    return ddim_edge.Engine(Denoiser(session), max_rows), session


def drain(engine: ddim_edge.Engine) -> list[ddim_edge.Job]:
    ended = []
    while engine.jobs:
        ended += engine.step()
    return ended
