"""A model of arrays, and what DDIM makes with its network by the public parts alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ddim_edge
from tests.helpers.array_bundles import (
    array_model,
    array_prediction,
    write_array_bundle,
)
from tests.helpers.tiny_bundles import Array

STEPS = 4


def opened(folder: Path, shape: tuple[int, ...], *, condition: int = 0, **options: Any) -> ddim_edge.Pipeline:
    model = array_model(shape, condition=condition)
    return ddim_edge.load(write_array_bundle(folder / "arrays", shape, model, **options), provider="cpu")


def plain_loop(shape: tuple[int, ...], seed: int, condition: Array | None = None) -> Array:
    """One sample of the tiny network by the public parts alone."""
    return looped(shape, seed, lambda sample, timestep: array_prediction(sample, timestep, condition))


def looped(shape: tuple[int, ...], seed: int, network: Callable[[Array, float], Array]) -> Array:
    """One sample of DDIM with any network."""
    config = ddim_edge.DdimConfig()
    draw = ddim_edge.noise_stream(seed)
    sampler = ddim_edge.start(config, STEPS, ddim_edge.first_sample(config, STEPS, draw((1, *shape))))
    query = next(sampler)
    while True:
        try:
            query = sampler.send(network(query.sample, query.timestep))
        except StopIteration as end:
            finished: Array = end.value
            return finished
