"""Who runs: requests are admitted, every model is stepped in turn, and what happened is reported. It knows no thread.

Fair: a request is admitted, first come first, when every running request of its model still gets one of its images
into every network call; the rest of a call goes to further images, round robin. So nobody waits for a longer request.
"""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from itertools import zip_longest

from ...arrays import Pixels
from ...errors import DeviceMemoryError
from ...generation.engine import Job
from ...generation.jobs import job_of
from ...generation.requests.request import Request
from ...networks.components import Components
from ..errors import Cancelled, DeadlinePassed
from .models import Resident, Residents
from .submission import Made, Partial, State, Submission

LOG = logging.getLogger("ddim_edge.serving")


class Dispatcher:
    """Belongs to one thread. ``on_image`` is told the model of every finished image."""

    def __init__(self, residents: Residents, on_image: Callable[[str], None] = lambda _model: None) -> None:
        self.waiting: deque[Submission] = deque()
        self._residents, self._on_image = residents, on_image

    def turn(self, now: float) -> None:
        """One network call for every model that has something to do. ``now`` is on the clock of the deadlines."""
        self._drop(now)
        self._admit()
        for resident in self._residents.busy():
            self._step(resident)

    @property
    def is_idle(self) -> bool:
        """Whether a turn would do nothing: nobody runs, and who waits, waits for a model that is being opened."""
        return not self._residents.busy() and all(self._residents.is_opening(each.model) for each in self.waiting)

    def submissions(self) -> list[Submission]:
        """All that have not ended."""
        return [*self.waiting, *(one for each in self._residents.busy() for one in each.running)]

    def estimates(self, submission: Submission) -> dict[int, Pixels]:
        """What its running images look like from here, uint8 (H, W, C), by index."""
        resident = next((each for each in self._residents.busy() if submission in each.running), None)
        if resident is None:
            return {}
        images = {
            index: _estimate(job, submission.request, resident.components) for job, index in submission.jobs.items()
        }
        return {index: image for index, image in images.items() if image is not None}

    def _drop(self, now: float) -> None:
        """End what was cancelled and what is late."""
        for submission in self.submissions():
            if submission.cancelled:
                self._end(submission, Cancelled("the request was cancelled"), "cancelled")
            elif now >= submission.deadline:
                self._end(submission, DeadlinePassed("the request took longer than its timeout"), "failed")

    def _admit(self) -> None:
        """Begin what fits, first come first; a model that no other one makes room for holds all behind it up."""
        full: set[str] = set()
        for submission in tuple(self.waiting):
            if submission.model in full:
                continue
            try:
                resident = self._residents.get(submission.model)
            except Exception as error:  # whatever opening a model raises, the others are served
                LOG.exception("model %s cannot be opened", submission.model)
                self._end(submission, error, "failed")
                continue
            if resident is None and not self._residents.is_opening(submission.model):
                return
            if resident is not None and resident.has_room_for(submission):
                self._begin(resident, submission)
            else:
                full.add(submission.model)

    def _begin(self, resident: Resident, submission: Submission) -> None:
        self.waiting.remove(submission)
        resident.running.append(submission)
        submission.state = "running"
        try:
            for index in range(submission.request.num_images):
                job = job_of(resident.bundle, submission.request, index, resident.components)
                submission.jobs[job] = index
                resident.engine.add(job)
        except Exception as error:  # memory, for instance: it fails alone
            LOG.exception("a request to %s cannot be begun", submission.model)
            self._end(submission, error, "failed")

    def _step(self, resident: Resident) -> None:
        engine, limit = resident.engine, resident.limit
        engine.jobs, engine.max_rows = fair_order(resident.running), limit.rows
        rows = min(limit.rows, sum(job.rows for job in engine.jobs))
        try:
            ended = engine.step()
        except Exception as error:  # a network may fail in any way: its requests fail, the server lives
            if not _tries_fewer_rows(resident, rows, error):
                self._fail(resident, error)
            return
        limit.after_call(rows, self._wanted(resident))
        for submission in tuple(resident.running):
            self._report(resident, submission, ended)

    def _wanted(self, resident: Resident) -> int:
        """The rows of all that runs on a model, and one image of all that waits for it."""
        waiting = (each.rows_at_least for each in self.waiting if each.model == resident.bundle.name)
        return sum(job.rows for job in resident.engine.jobs) + sum(waiting)

    def _fail(self, resident: Resident, error: Exception) -> None:
        LOG.error("model %s failed", resident.bundle.name, exc_info=error)
        for submission in tuple(resident.running):
            self._end(submission, error, "failed")

    def _report(self, resident: Resident, submission: Submission, ended: Sequence[Job]) -> None:
        for job in ended:
            index = submission.jobs.pop(job, None)
            if index is None:
                continue
            if job.error is not None:
                return self._end(submission, job.error, "failed")
            submission.calls_made += job.calls
            self._on_image(submission.model)
            submission.listener(_made(index, job, submission.request, resident.components))
        if not submission.jobs:
            return self._end(submission, None, "done")
        return _show(submission, resident.components)

    def _end(self, submission: Submission, error: Exception | None, state: State) -> None:
        """Take it out of wherever it is and tell its listener."""
        if submission in self.waiting:
            self.waiting.remove(submission)
        for resident in self._residents.busy():
            if submission in resident.running:
                resident.running.remove(submission)
                for job in submission.jobs:
                    resident.engine.remove(job)
        submission.end(state, error)


def _show(submission: Submission, components: Components) -> None:
    """Tell of the images whose number of calls is one after which they are to be shown."""
    for job, index in submission.jobs.items():
        now = (index, job.calls)
        if job.calls in submission.partial_after and now not in submission.shown:
            submission.shown.add(now)
            image = _estimate(job, submission.request, components)
            if image is not None:
                submission.listener(Partial(index, job.calls, image))


def fair_order(running: Sequence[Submission]) -> list[Job]:
    """One job of each submission, first come first, then a second one of each, and so on."""
    turns = zip_longest(*(submission.jobs for submission in running))
    return [job for turn in turns for job in turn if job is not None]


def _estimate(job: Job, request: Request, components: Components) -> Pixels | None:
    """What its image looks like from here, uint8 (H, W, C); None before its first prediction."""
    query = job.query
    if query is None or query.denoised is None:
        return None
    image: Pixels = components.pixels(query.denoised, tiles=request.vae_tiling)[0]
    return image


def _made(index: int, job: Job, request: Request, components: Components) -> Made:
    images, is_safe = components.finish(job.result(), tiles=request.vae_tiling)
    return Made(index, images[0], None if is_safe is None else is_safe[0])


def _tries_fewer_rows(resident: Resident, rows: int, error: Exception) -> bool:
    """Whether a call of ``rows`` rows failed for want of memory and may be made again with fewer; no job has moved."""
    if not isinstance(error, (DeviceMemoryError, MemoryError)) or not resident.limit.halve(rows):
        return False
    name, most = resident.bundle.name, resident.limit.rows
    LOG.warning("%s: too little memory for %d rows, from now on it is at most %d", name, rows, most)
    return True
