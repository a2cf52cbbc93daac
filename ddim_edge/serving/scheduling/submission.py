"""What goes from a client to the engine's thread, and what comes back."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from ...arrays import Pixels
from ...diffusion.samplers import schedule_of
from ...generation.engine import Job
from ...generation.requests.request import Request

State = Literal["queued", "running", "done", "failed", "cancelled"]


@dataclass(frozen=True)
class Partial:
    """What image ``index`` looks like from here, uint8 (H, W, C)."""

    index: int
    calls: int
    image: Pixels


@dataclass(frozen=True)
class ImageDone:
    """Image ``index``, finished, uint8 (H, W, C)."""

    index: int
    image: Pixels
    is_safe: bool | None = None
    """Whether the model's safety checker let it pass, and it is not black; None where the model has none."""


@dataclass(frozen=True)
class Ended:
    """The last event; with the error that ended it, if one did."""

    error: Exception | None


Event = Partial | ImageDone | Ended


@dataclass(eq=False)
class Submission:
    """A request on its way through the engine. Only the engine's thread writes to it, but for ``cancelled``."""

    model: str
    request: Request
    listener: Callable[[Event], None]
    """Called in the engine's thread: it must not block."""
    deadline: float
    """On the worker's clock."""
    partial_images: int = 0
    jobs: dict[Job, int] = field(default_factory=dict)
    """The jobs that have not ended, with the index of their image."""
    finished_calls: int = 0
    """Network calls of the images that have ended."""
    state: State = "queued"
    cancelled: bool = False
    partials_sent: set[tuple[int, int]] = field(default_factory=set)

    def __post_init__(self) -> None:
        request = self.request
        self.calls_per_image = len(schedule_of(request.sampler, request.num_steps, request.strength).timesteps)
        self.partial_after_calls = partial_calls(self.calls_per_image, self.partial_images)

    @property
    def rows_per_image(self) -> int:
        """The rows that one of its images takes at most, so that it moves on in every call."""
        return 2 if self.request.guided else 1

    def end(self, state: State, error: Exception | None) -> None:
        """Let go of its jobs and tell its listener."""
        self.finished_calls = self.calls
        self.jobs, self.state = {}, state
        self.listener(Ended(error))

    @property
    def calls(self) -> int:
        """Network calls so far, over all images. May be read from any thread."""
        return self.finished_calls + sum(job.calls for job in tuple(self.jobs))


def partial_calls(calls: int, count: int) -> frozenset[int]:
    """After which of an image's ``calls`` to show it, ``count`` times, evenly."""
    return frozenset(round(calls * (turn + 1) / (count + 1)) for turn in range(count)) - {0, calls}
