"""What a sampler asks of the network, and what it is given."""

from collections.abc import Callable, Generator
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError
from ..schedule import Floats, Sample


class Query(NamedTuple):
    """A question to the network: its prediction for ``sample`` at ``timestep``."""

    sample: Sample
    """x_t, float32; the whole of it stands at one timestep. It is the sampler's own: what is written to it before the
    prediction is sent, the sampler goes on from."""
    timestep: int
    denoised: Sample | None
    """The last predicted x_0, for whoever watches; None at the first query."""


Sampler = Generator[Query, Sample, Sample]
"""Yields queries, is sent predictions of the sample's shape, returns x_0."""

NoiseSource = Callable[[], Sample]
"""Returns fresh standard normal noise of the sample's shape."""


class Schedule(Protocol):
    """What all samplers' tables have in common."""

    timesteps: NDArray[np.int64]
    """What the network is fed, call by call."""
    levels: Floats
    """ᾱ of the sample at each call, float64."""


def required(noise: NoiseSource | None, sampler: str) -> NoiseSource:
    """The source of noise; ConfigError where there is none."""
    if noise is None:
        raise ConfigError(f"{sampler} adds fresh noise at its steps: pass noise")
    return noise
