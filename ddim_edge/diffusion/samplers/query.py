"""Types of samplers: the queries that they yield, what they receive, and their schedules."""

from collections.abc import Callable, Generator
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ...arrays import Sample
from ...errors import ConfigError
from ..levels import Levels


class Query(NamedTuple):
    """A query to the network: predict for ``sample`` at ``timestep``."""

    sample: Sample
    """x_t, float32, all of it at one timestep. It is the sampler's own array: a change that is made to it before the
    prediction is sent takes effect (``inpaint`` uses this)."""
    timestep: float
    """What the network is fed: an int where it is whole."""
    denoised: Sample | None
    """The last predicted x_0, for previews; None at the first query."""


class LinearStep(NamedTuple):
    """Coefficients of a whole step, for a graph that computes it (a fused step).

    x_0 = clip(x0_x·x + x0_p·p) to ±limit; the next sample is next_x·x + next_p·p + next_x0·x_0 + sigma·noise.
    """

    x0_x: float
    x0_p: float
    next_x: float
    next_p: float
    next_x0: float
    sigma: float
    limit: float
    """Infinity without clipping."""
    noise: Sample | None
    """Fresh noise; None where σ = 0."""


class StepQuery(Query):
    """A query to which the prediction or the result of the whole step (``Stepped``) may be sent.

    Attributes:
        step: the coefficients of the step.
    """

    step: LinearStep

    @classmethod
    def with_step(cls, query: Query, step: LinearStep) -> "StepQuery":
        """``query`` with the coefficients of its step."""
        with_step = cls(*query)
        with_step.step = step
        return with_step


class Stepped(NamedTuple):
    """Result of a fused step: the next sample and the predicted x_0. They can be on a device; NumPy converts them."""

    sample: Sample
    denoised: Sample


class Guided(NamedTuple):
    """A guided prediction and the unconditional one that is part of it, both of the sample's shape."""

    prediction: Sample
    unconditional: Sample


Sampler = Generator[Query, Any, Sample]
"""Yields queries, receives predictions of the sample's shape (for a StepQuery also Stepped), returns x_0."""

NoiseSource = Callable[[], Sample]
"""Returns fresh standard normal noise of the sample's shape."""


Times = NDArray[np.int64] | NDArray[np.float64]
"""Timesteps: int64 where all are whole."""


class Run(NamedTuple):
    """``timesteps``: what the network is fed at each call, (S,); ``levels``: S+1, whose last is the end of the run."""

    timesteps: Times
    levels: Levels

    def after(self, first: int) -> "Run":
        """The run without its first steps."""
        return Run(self.timesteps[first:], self.levels[first:])


def times(timesteps: Times) -> list[float]:
    """``timesteps`` as numbers for queries: an int where one is whole."""
    return [int(time) if time == int(time) else time for time in timesteps.tolist()]


class Schedule(Protocol):
    """The table of a sampler's run: what all samplers have in common."""

    @property
    def timesteps(self) -> Times:
        """The network's timestep at each call."""

    @property
    def levels(self) -> Levels:
        """The noise level of the sample at each call."""


def required(noise: NoiseSource | None, sampler: str) -> NoiseSource:
    """Return the source of noise. Raises ConfigError if there is none."""
    if noise is None:
        raise ConfigError(f"{sampler} adds fresh noise at its steps: pass noise")
    return noise
