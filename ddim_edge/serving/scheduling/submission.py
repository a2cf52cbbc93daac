"""A request on its way through the engine thread, and the events that it sends back."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from ...arrays import Array, Pixels
from ...generation.engine import Job
from ...generation.requests.request import Request
from ...generation.requests.step_cache import ImageCalls, least_whole_calls, network_calls
from ...networks.row import RowCount
from ...policy.stateless import Decisions

State = Literal["queued", "running", "done", "failed", "cancelled"]


class Maker(NamedTuple):
    """What makes an image: the hash of the loaded model, its provider, and what it computes in."""

    model_sha256: str
    provider: str
    precision: str


@dataclass(frozen=True)
class Partial:
    """Event: the current estimate of image ``index`` after ``calls`` network calls, uint8 (H, W, C)."""

    index: int
    calls: int
    image: Pixels


@dataclass(frozen=True)
class ImageDone:
    """Event: image ``index`` is finished: uint8 (H, W, C).

    Of a model that makes arrays ``image`` is the sample in its units, float32; of a policy a robot's actions, float32
    (n_action_steps, action_dim).
    """

    index: int
    image: Array
    calls: ImageCalls
    is_safe: bool | None = None
    """The safety checker's result; an unsafe image is black. None if the model has no safety checker."""


@dataclass(frozen=True)
class Ended:
    """The last event: the request has ended, with the error that ended it or None."""

    error: Exception | None


Event = Partial | ImageDone | Ended


@dataclass(eq=False)
class Submission:
    """A request in the queue or running. Only the engine thread writes to it, except for ``cancelled``."""

    model: str
    request: Request
    listener: Callable[[Event], None]
    """Called in the engine thread: it must not block."""
    deadline: float
    """In seconds of EngineThread's clock."""
    partial_images: int = 0
    client: str | None = None
    """Who sent it: clients share a model's rows evenly."""
    decisions: Decisions | None = None
    """What a policy decides, with an image of ``request`` for each robot; None for other models."""
    queued_at: float = 0.0
    """When it came into the queue, in seconds of EngineThread's clock."""
    rank: float | None = None
    """Its place among the waiting requests, the lowest first: the work that it needs, plus what the scheduler had done
    when it arrived. None before it is in the scheduler's queue."""
    jobs: dict[Job, int] = field(default_factory=dict)
    """The jobs that have not ended, with the index of their image."""
    finished_calls: int = 0
    """Network calls of the images that have ended."""
    finished_shallow_calls: int = 0
    """How many of them were calls of the shallow graph."""
    maker: Maker | None = None
    """What runs it; None before it runs."""
    state: State = "queued"
    cancelled: bool = False
    partials_sent: set[tuple[int, int]] = field(default_factory=set)
    """Image index and number of calls of each Partial event so far."""

    def __post_init__(self) -> None:
        self.calls_per_image = network_calls(self.request)
        self.partial_after_calls = partial_calls(self.calls_per_image, self.partial_images)

    @property
    def rows_per_image(self) -> int:
        """Most rows of one of its images in one network call."""
        return self.request.rows

    @property
    def rows_left(self) -> int:
        """Rows of network calls that it still needs, all images together. May be read from any thread."""
        return (self.calls_per_image * self.request.num_images - self.calls) * self.rows_per_image

    @property
    def rows_of_each_kind_left(self) -> RowCount:
        """``rows_left`` by the kinds of their calls; those of an adaptive cache as if as few as can be were whole."""
        cache = self.request.step_cache
        if cache is None or cache.kind == "forecast":
            return RowCount(self.rows_left, 0)
        whole_made = self.calls - self.shallow_calls
        whole_left = least_whole_calls(self.request) * self.request.num_images - whole_made
        whole = min(max(whole_left, 0) * self.rows_per_image, self.rows_left)
        return RowCount(whole, self.rows_left - whole)

    @property
    def ended(self) -> bool:
        return self.state not in ("queued", "running")

    def end(self, state: State, error: Exception | None) -> None:
        """Drop its jobs and send the Ended event."""
        self.finished_calls, self.finished_shallow_calls = self.calls, self.shallow_calls
        self.jobs, self.state = {}, state
        self.listener(Ended(error))

    @property
    def calls(self) -> int:
        """Network calls so far, over all images. May be read from any thread."""
        return self.finished_calls + sum(job.calls for job in tuple(self.jobs))

    @property
    def shallow_calls(self) -> int:
        """How many of ``calls`` were calls of the shallow graph. May be read from any thread."""
        return self.finished_shallow_calls + sum(job.shallow_calls for job in tuple(self.jobs))

    def finish(self, job: Job) -> int:
        """Drop a job that has ended, and count its calls. Returns the index of its image."""
        self.finished_calls += job.calls
        self.finished_shallow_calls += job.shallow_calls
        return self.jobs.pop(job)


def partial_calls(calls: int, count: int) -> frozenset[int]:
    """After which of an image's ``calls`` to send a partial image: ``count`` of them, evenly spaced."""
    return frozenset(round(calls * (turn + 1) / (count + 1)) for turn in range(count)) - {0, calls}
