"""The one thread that owns engines and sessions, and the bounded queue in front of it."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

from ...arrays import Pixels
from ..errors import Draining, EngineDead, QueueFull
from .scheduler import Scheduler
from .submission import Submission

LOG = logging.getLogger("ddim_edge.serving")
Clock = Callable[[], float]
OnEstimates = Callable[[dict[int, Pixels]], None]

_LOAD_POLL_S = 0.05
"""How often to look whether a model has been opened, where there is nothing else to do."""


class EngineThread:
    """Takes submissions from any thread. ``on_death`` is called where the thread ends by a fault of its own."""

    def __init__(self, scheduler: Scheduler, max_queue: int, clock: Clock = time.monotonic) -> None:
        self.clock = clock
        self.on_death: Callable[[], None] = lambda: None
        self._scheduler, self._max_queue = scheduler, max_queue
        self._changed = threading.Condition()
        self._arrived: deque[Submission] = deque()
        self._peeks: deque[tuple[Submission, OnEstimates]] = deque()
        self._aborting = self._dead = False
        self._draining_since: float | None = None
        self._thread = threading.Thread(target=self._run, name="ddim-edge-engine", daemon=True)

    def start(self) -> None:
        """Start the thread, if it has not been started."""
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
        """How many requests wait to be begun."""
        return len(self._arrived) + len(self._scheduler.waiting)

    def submit(self, submission: Submission) -> None:
        """Queue it; EngineDead, Draining or QueueFull where it cannot be."""
        with self._changed:
            if self._dead:
                raise EngineDead("the engine has stopped by an internal fault")
            if self.draining:
                raise Draining("the server is stopping: ask another one, or later")
            if self.queued >= self._max_queue:
                raise QueueFull(f"{self._max_queue} requests wait already: try again later")
            self._arrived.append(submission)
            self._changed.notify_all()

    def cancel(self, submission: Submission) -> None:
        """Stop it before the next step."""
        with self._changed:
            submission.cancelled = True
            self._changed.notify_all()

    def peek(self, submission: Submission, on_estimates: OnEstimates) -> None:
        """Call ``take``, in the engine's thread, with the estimates of its running images, by index."""
        with self._changed:
            if self._dead or submission.state not in ("queued", "running"):
                return on_estimates({})
            self._peeks.append((submission, on_estimates))
            self._changed.notify_all()
        return None

    def start_draining(self) -> None:
        """Accept nothing more. Takes no lock, so a signal's handler may call it."""
        if self._draining_since is None:
            self._draining_since = time.monotonic()

    def close(self, wait_s: float) -> None:
        """Refuse; ``wait_s`` seconds after that began, cancel what is left. The thread has ended then, or is stuck."""
        self.start_draining()
        assert self._draining_since is not None
        left = max(0.0, self._draining_since + wait_s - time.monotonic())
        if self._thread.ident is None:
            return
        with self._changed:
            self._changed.notify_all()
        self._thread.join(left)
        with self._changed:
            self._aborting = True
            self._changed.notify_all()
        self._thread.join(5)

    def _run(self) -> None:
        try:
            while self._wait_for_work():
                self.turn()
        except BaseException:  # whatever it was, clients must be answered and the supervisor told
            LOG.exception("the engine's thread ends by a fault of its own")
            self._fail_all()

    def turn(self) -> None:
        """Take in what has arrived, answer peeks, and let the scheduler make one step of everything."""
        with self._changed:
            while self._arrived:
                self._scheduler.waiting.append(self._arrived.popleft())
        if self._aborting:
            for submission in self._scheduler.submissions():
                submission.cancelled = True
        self._run_peeks()
        self._scheduler.turn(self.clock())

    def _wait_for_work(self) -> bool:
        """Whether there is something to do; False at the end."""
        with self._changed:
            self._changed.wait_for(self._is_ready, _LOAD_POLL_S if self._scheduler.waiting else None)
            return not self.draining or bool(self._arrived or self._peeks or self._scheduler.submissions())

    def _is_ready(self) -> bool:
        if self._arrived or self._peeks or not self._scheduler.is_idle:
            return True
        return self.draining and not self._scheduler.submissions()

    def _run_peeks(self) -> None:
        while self._peeks:
            submission, on_estimates = self._peeks.popleft()
            on_estimates(self._scheduler.estimates(submission))

    def _fail_all(self) -> None:
        with self._changed:
            self._dead = True
            left = [*self._arrived, *self._scheduler.submissions()]
            peeks, self._peeks = self._peeks, deque()
        for submission in left:
            submission.end("failed", EngineDead("the engine has stopped by an internal fault"))
        for _, on_estimates in peeks:
            on_estimates({})
        self.on_death()
