"""The engine thread: the only one that runs models, with bounded queues in front of it."""

import logging
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable

from ...arrays import Pixels
from ..api_keys import ApiKey
from ..errors import Draining, EngineDead
from .admission import Admission, Place
from .scheduler import Scheduler
from .submission import Ended, Submission

LOG = logging.getLogger("ddim_edge.serving")
_DEAD = "the engine thread has stopped after an internal error: try again later"
_DRAINING = "the server is shutting down: try again later"
Clock = Callable[[], float]
Estimates = dict[int, Pixels] | Exception
"""Images by their index, uint8 (H, W, C), or the error of decoding them."""
OnEstimates = Callable[[Estimates], None]

_ABORT_S = 2.0
"""How long the end of the drain waits for the network call that is running."""
_LOAD_POLL_S = 0.05
"""While requests wait and nothing runs: how often to check whether a model has been loaded."""


class EngineThread:
    """Runs the scheduler in a thread. Its methods may be called from any thread, except for ``turn``.

    ``on_death`` is called when the thread has stopped after an internal error.
    """

    def __init__(self, scheduler: Scheduler, admission: Admission, clock: Clock = time.monotonic) -> None:
        self.clock = clock
        self.on_death: Callable[[], None] = lambda: None
        self._scheduler, self._admission = scheduler, admission
        self._changed = threading.Condition()
        self._arrived: deque[Submission] = deque()
        self._submissions: weakref.WeakSet[Submission] = weakref.WeakSet()
        self._peeks: deque[tuple[Submission, OnEstimates]] = deque()
        self._aborting = self._closed = self._dead = False
        self._draining_since: float | None = None
        self._thread = threading.Thread(target=self._run, name="ddim-edge-engine", daemon=True)

    def start(self) -> None:
        """Start the thread if it has not been started."""
        with self._changed:
            if self._thread.ident is None:
                self._thread.start()

    @property
    def alive(self) -> bool:
        return not self._dead

    @property
    def draining(self) -> bool:
        return self._draining_since is not None

    @property
    def queued(self) -> int:
        """How many requests are waiting."""
        with self._changed:
            return self._admission.waiting

    @property
    def running(self) -> int:
        """How many requests have begun and not ended."""
        with self._changed:
            return self._admission.running

    def take_place(self, model: str, client: str | None, key: ApiKey | None = None) -> Place:
        """A place in the model's queue; raises EngineDead, Draining, QueueFull or KeyLimit."""
        with self._changed:
            self.check_open()
            return self._admission.take(model, client, key)

    def submit(self, submission: Submission, place: Place) -> None:
        """Add ``submission`` to the queue, on its place; raises EngineDead, Draining or KeyLimit."""
        with self._changed:
            self.check_open()
            self._admission.check_work(place, submission)
            place.submission, submission.queued_at = submission, self.clock()
            self._arrived.append(submission)
            self._submissions.add(submission)
            self._changed.notify_all()

    def check_open(self) -> None:
        """Raise EngineDead or Draining where no request is taken any more."""
        if self._dead:
            raise EngineDead(_DEAD)
        if self.draining:
            raise Draining(_DRAINING)

    def cancel(self, submission: Submission) -> None:
        """Stop ``submission`` before the next step."""
        with self._changed:
            submission.cancelled = True
            self._changed.notify_all()

    def peek(self, submission: Submission, on_estimates: OnEstimates) -> None:
        """Call ``on_estimates`` with the current estimates of ``submission``'s running images, by index.

        It is called in the engine thread before the next step, with the error if one of them cannot be decoded; at
        once, with none, if ``submission`` has ended.
        """
        with self._changed:
            if self._dead or submission.ended:
                return on_estimates({})
            self._peeks.append((submission, on_estimates))
            self._changed.notify_all()
        return None

    def start_draining(self) -> None:
        """Refuse new submissions. Takes no lock, so a signal handler may call it."""
        if self._draining_since is None:
            self._draining_since = time.monotonic()

    def abort(self) -> None:
        """Drain, and end what runs before the next step. Takes no lock, so a signal handler may call it."""
        self.start_draining()
        self._aborting = True

    def close(self, wait_s: float) -> None:
        """Stop the thread: start draining; ``wait_s`` seconds after draining started, cancel what still runs.

        Those requests get Draining, and the thread has ended on return, unless one network call takes longer than two
        seconds: then it goes on.
        """
        self.start_draining()
        assert self._draining_since is not None
        left = 0.0 if self._aborting else max(0.0, self._draining_since + wait_s - time.monotonic())
        if self._thread.ident is None or self._closed:
            return
        self._closed = True
        with self._changed:
            self._changed.notify_all()
        self._thread.join(left)
        with self._changed:
            self._aborting = True
            self._changed.notify_all()
        self._thread.join(_ABORT_S)
        if self._thread.is_alive():  # a network call goes on: nobody waits for its end
            for submission in tuple(self._submissions):
                submission.listener(Ended(Draining(_DRAINING)))

    def _run(self) -> None:
        try:
            while self._wait_for_work():
                self.turn()
        except BaseException:  # whatever it was, clients must get a response and the process must exit
            LOG.exception("the engine thread stops after an internal error")
            self._fail_all()

    def turn(self) -> None:
        """One turn: pass arrived submissions to the scheduler, run peeks, step every busy model."""
        with self._changed:
            while self._arrived:
                self._scheduler.waiting.append(self._arrived.popleft())
        if self._aborting:
            self._scheduler.end_all(Draining(_DRAINING))
        self._run_peeks()
        self._scheduler.turn(self.clock())

    def _wait_for_work(self) -> bool:
        """Wait for work; False when draining has finished."""
        with self._changed:
            self._admission.forget_ended()
            self._changed.wait_for(self._is_ready, _LOAD_POLL_S if self._scheduler.waiting else None)
            return not self.draining or bool(self._arrived or self._peeks or self._scheduler.submissions())

    def _is_ready(self) -> bool:
        if self._arrived or self._peeks or not self._scheduler.is_idle:
            return True
        return self.draining and not self._scheduler.submissions()

    def _run_peeks(self) -> None:
        while self._peeks:
            submission, on_estimates = self._peeks.popleft()
            try:
                estimates: Estimates = self._scheduler.estimates(submission)
            except Exception as error:  # of the decoder: who looked gets it, and the request goes on
                estimates = error
            on_estimates(estimates)

    def _fail_all(self) -> None:
        with self._changed:
            self._dead = True
            left = [*self._arrived, *self._scheduler.submissions()]
            peeks, self._peeks = self._peeks, deque()
        for submission in left:
            submission.end("failed", EngineDead(_DEAD))
        for _, on_estimates in peeks:
            on_estimates({})
        self.on_death()
