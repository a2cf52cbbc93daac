"""What a sampler asks of the network, and what it is given."""

from collections.abc import Callable, Generator
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ...arrays import Floats, Sample
from ...errors import ConfigError


class Query(NamedTuple):
    """A question to the network: its prediction for ``sample`` at ``timestep``."""

    sample: Sample
    """x_t, float32; the whole of it stands at one timestep. It is the sampler's own: what is written to it before the
    prediction is sent, the sampler goes on from."""
    timestep: int
    denoised: Sample | None
    """The last predicted x_0, for whoever watches; None at the first query."""


class LinearStep(NamedTuple):
    """A whole step, for a network whose graph computes it: x_0 = clip(x0_x·x + x0_p·p) to ±limit, and the next sample
    next_x·x + next_p·p + next_x0·x_0 + sigma·noise.
    """

    x0_x: float
    x0_p: float
    next_x: float
    next_p: float
    next_x0: float
    sigma: float
    limit: float
    """Infinity where nothing is clipped."""
    noise: Sample | None
    """None where σ = 0."""


class StepQuery(Query):
    """A question that may be answered by the prediction or, as ``Stepped``, by what its step makes of it.

    Attributes:
        step: that step.
    """

    step: LinearStep

    @classmethod
    def with_step(cls, query: Query, step: LinearStep) -> "StepQuery":
        """The question ``query``, and the step that follows the answer."""
        offer = cls(*query)
        offer.step = step
        return offer


class Stepped(NamedTuple):
    """The next sample and the predicted x_0. They may lie on a device: to NumPy they are arrays."""

    sample: Sample
    denoised: Sample


Sampler = Generator[Query, Any, Sample]
"""Yields queries, is sent predictions of the sample's shape (a StepQuery's may be sent Stepped), returns x_0."""

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
