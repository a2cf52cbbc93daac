"""What a sampler asks of the network."""

from collections.abc import Callable, Generator
from typing import NamedTuple

from ..schedule import Sample


class Query(NamedTuple):
    """A question to the network: its prediction for ``sample`` at ``timestep``."""

    sample: Sample
    """x_t, float32; the whole of it stands at one timestep."""
    timestep: int
    denoised: Sample | None
    """The last predicted x_0, for whoever watches; None at the first query."""


Sampler = Generator[Query, Sample, Sample]
"""Yields queries, is sent predictions of the sample's shape, returns x_0."""

NoiseSource = Callable[[], Sample]
"""Returns fresh standard normal noise of the sample's shape."""
