"""The scheduler: admits requests and steps each busy model once per turn.

Fairness: a waiting request with little work goes before one with much, but only if it arrived before as many rows were
computed as the large one needs itself (``Submission.rank``). A request is admitted when each running request of its
model, and it, can have one image in every network call; the remaining rows go to further images, round robin. So a
request does not wait for a longer one, nor for one with more images. A client's first request does not wait for the
many of another client: it is admitted when one request of each client, and it, fit; the other client's last ones then
get no rows. Nor is it slowed down by them: further images join a call with several clients only where that pays
(``CallTimes``).
"""

import logging
from collections import deque
from collections.abc import Callable, Sequence

from ...arrays import Pixels
from ...errors import ConfigError, DdimEdgeError, DeviceMemoryError
from ...generation.engine import Job
from ...generation.requests.step_cache import ImageCalls
from ..errors import Cancelled, DeadlinePassed, RequestError
from .loaded_model import LoadedModel
from .loaded_models import LoadedModels
from .order import by_rank, fair_order
from .submission import Partial, State, Submission

LOG = logging.getLogger("ddim_edge.serving")


class Scheduler:
    """Admits requests and steps each busy model once per turn. Not thread-safe; called by the engine thread alone.

    ``waiting`` is the queue; append to it. ``on_image`` is called with the model's name and the calls of every
    finished image, ``on_begin`` with every request that begins.
    """

    def __init__(
        self,
        models: LoadedModels,
        on_image: Callable[[str, ImageCalls], None] = lambda _model, _calls: None,
        on_begin: Callable[[Submission], None] = lambda _submission: None,
    ) -> None:
        self.waiting: deque[Submission] = deque()
        self._models, self._on_image, self._on_begin = models, on_image, on_begin
        self._work_done = 0.0

    def turn(self, now: float) -> None:
        """End and admit requests, then make one network call for each busy model. ``now``: the deadlines' clock."""
        self._end_cancelled_and_late(now)
        self._admit()
        for model in self._models.busy():
            self._step(model)

    @property
    def is_idle(self) -> bool:
        """Whether a turn would do nothing: no request runs, and the waiting ones wait for models that are loading."""
        return not self._models.busy() and all(self._models.is_loading(each.model) for each in self.waiting)

    def submissions(self) -> list[Submission]:
        """All waiting and running requests."""
        return [*self.waiting, *(one for each in self._models.busy() for one in each.running)]

    def end_all(self, error: Exception) -> None:
        """End all waiting and running requests with an error."""
        for submission in self.submissions():
            self._end(submission, error, "failed")

    def estimates(self, submission: Submission) -> dict[int, Pixels]:
        """The current estimates of the running images by index, uint8 (H, W, C); raises what decoding them raises."""
        model = next((each for each in self._models.busy() if submission in each.running), None)
        if model is None:
            return {}
        images = {index: model.estimate(submission, job) for job, index in submission.jobs.items()}
        return {index: image for index, image in images.items() if image is not None}

    def _end_cancelled_and_late(self, now: float) -> None:
        """End the requests that were cancelled or whose deadline has passed."""
        for submission in self.submissions():
            if submission.cancelled:
                self._end(submission, Cancelled("the request was cancelled"), "cancelled")
            elif now >= submission.deadline:
                self._end(submission, DeadlinePassed("the request took longer than its timeout"), "failed")

    def _admit(self) -> None:
        """Start the waiting requests that fit, in order of their ranks.

        At a request that does not fit, its model is full: only another client's first request may still start there.
        At one whose model cannot be loaded because all loaded ones are busy, one of these is closed until it is idle.
        """
        full: set[str] = set()
        closed: set[str] = set()
        for submission in by_rank(self.waiting, self._work_done):
            model = None if submission.model in closed else self._model_of(submission)
            if submission.ended or submission.model in closed:
                continue
            if model is None:
                closed |= {submission.model, *self._to_unload(submission)}
                continue
            is_first = not model.runs_client_of(submission)
            if submission.model in full and not is_first:
                continue
            if model.has_room_for(submission):
                self._begin(model, submission)
            else:
                (closed if is_first else full).add(submission.model)

    def _model_of(self, submission: Submission) -> LoadedModel | None:
        """Its model if that is loaded; a failed load ends the request, and the other models are still served."""
        try:
            return self._models.get(submission.model)
        except Exception as error:  # of whatever kind
            LOG.exception("model %s cannot be loaded", submission.model)
            self._end(submission, error, "failed")
            return None

    def _to_unload(self, submission: Submission) -> list[str]:
        """The busy model that must become idle for ``submission``: the one with the least work left, if any must."""
        if self._models.is_loading(submission.model):
            return []
        by_work = sorted(self._models.busy(), key=lambda model: model.work_left)
        return [model.bundle.name for model in by_work[:1]]

    def _begin(self, model: LoadedModel, submission: Submission) -> None:
        self.waiting.remove(submission)
        model.running.append(submission)
        submission.state = "running"
        self._on_begin(submission)
        try:
            submission.maker = model.maker
            for index, job in enumerate(model.jobs(submission)):
                submission.jobs[job] = index
                model.engine.add(job)
        except Exception as error:  # for instance too little memory: only this request fails
            self._fail(submission, error)

    def _step(self, model: LoadedModel) -> None:
        engine, limit = model.engine, model.limit
        engine.jobs, engine.max_rows = fair_order(model.running), model.most_rows
        engine.denoiser.most_rows = model.most_rows_per_call
        try:
            ended = engine.step()
        except Exception as error:  # a network may fail in any way: its requests fail, the server goes on
            if not _lower_row_limit(model, max(engine.last_rows), error):
                self._fail_all(model, error)
            return
        self._work_done += engine.last_rows.work
        if engine.max_rows == limit.rows:
            limit.after_call(max(engine.last_rows), self._wanted_rows(model))
        for submission in tuple(model.running):
            self._report(model, submission, ended)

    def _wanted_rows(self, model: LoadedModel) -> int:
        """Rows that the model could use: all of its running images, and one image of each request waiting for it."""
        waiting = (each.rows_per_image for each in self.waiting if each.model == model.bundle.name)
        return sum(job.rows for job in model.engine.jobs) + sum(waiting)

    def _fail_all(self, model: LoadedModel, error: Exception) -> None:
        LOG.error("model %s failed", model.bundle.name, exc_info=error)
        for submission in tuple(model.running):
            self._end(submission, error, "failed")

    def _fail(self, submission: Submission, error: Exception) -> None:
        """End the request with an error, and log it; a message about a client's options may quote a prompt."""
        if isinstance(error, DdimEdgeError):
            if not isinstance(error, (ConfigError, RequestError)):
                LOG.error("a request to model %s failed: %s", submission.model, error)
        else:
            LOG.error("a request to model %s failed", submission.model, exc_info=error)
        self._end(submission, error, "failed")

    def _report(self, model: LoadedModel, submission: Submission, ended: Sequence[Job]) -> None:
        """Send the request's images; an error of the decoder or the safety checker fails this request alone."""
        try:
            for job in ended:
                if job in submission.jobs:
                    self._send_image(model, submission, job)
            _send_partials(model, submission)
        except Exception as error:  # a network may fail in any way
            return self._fail(submission, error)
        if not submission.jobs:
            self._end(submission, None, "done")
        return None

    def _send_image(self, model: LoadedModel, submission: Submission, job: Job) -> None:
        index = submission.finish(job)
        image = model.finished(submission, index, job)
        self._on_image(submission.model, image.calls)
        submission.listener(image)

    def _end(self, submission: Submission, error: Exception | None, state: State) -> None:
        """Remove the request from the queue and from its model, and send its Ended event."""
        if submission in self.waiting:
            self.waiting.remove(submission)
        for model in self._models.busy():
            if submission in model.running:
                model.running.remove(submission)
                for job in submission.jobs:
                    model.engine.remove(job)
        submission.end(state, error)


def _send_partials(model: LoadedModel, submission: Submission) -> None:
    """Send a Partial event for each image that has just reached one of ``partial_after_calls``, once for each."""
    for job, index in submission.jobs.items():
        key = (index, job.calls)
        if job.calls in submission.partial_after_calls and key not in submission.partials_sent:
            submission.partials_sent.add(key)
            image = model.estimate(submission, job)
            if image is not None:
                submission.listener(Partial(index, job.calls, image))


def _lower_row_limit(model: LoadedModel, rows: int, error: Exception) -> bool:
    """True if a call of ``rows`` rows failed for lack of memory and can be repeated with fewer: no job has advanced."""
    if not isinstance(error, (DeviceMemoryError, MemoryError)) or not model.limit.halve(rows):
        return False
    LOG.warning("%s: too little memory for %d rows, now at most %d", model.bundle.name, rows, model.limit.rows)
    return True
