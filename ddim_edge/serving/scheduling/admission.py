"""Admission: how many requests may wait for each model, and how many each client may have, before any work is done."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import NoReturn, Self

from ..api_keys import ApiKey
from ..errors import KeyLimit, QueueFull
from .pace import Pace
from .submission import Submission

_LONGEST_WAIT_S = 60
"""The longest Retry-After that OpenAI's clients keep to."""
_WORK = "(max_queued_work)"


@dataclass(eq=False)
class Place:
    """A request's place in the queue of its model, from before its upload is decoded until it has ended.

    A context manager: it is given up at the end of the block if no submission has been queued on it.
    """

    model: str
    client: str | None
    key: ApiKey | None = None
    """The client's API key, if it has limits of its own."""
    submission: Submission | None = None
    given_up: bool = False

    @property
    def is_waiting(self) -> bool:
        return not self.given_up and (self.submission is None or self.submission.state == "queued")

    @property
    def is_open(self) -> bool:
        return not self.given_up and (self.submission is None or not self.submission.ended)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _type: type[BaseException] | None, _error: object, _traceback: TracebackType | None) -> None:
        self.given_up = self.submission is None


class Admission:
    """Gives places to requests. Not thread-safe: the engine thread's lock guards it.

    Args:
        max_queue: most requests that wait for one model.
        max_per_client: most requests of one client that have not ended, all models together.
        pace: for the seconds after which a client that is refused may come again.
    """

    def __init__(self, max_queue: int, max_per_client: int, pace: Pace) -> None:
        self._max_queue, self._max_per_client, self._pace = max_queue, max_per_client, pace
        self._places: list[Place] = []

    @property
    def waiting(self) -> int:
        """How many requests wait, all models together."""
        return sum(place.is_waiting for place in self._places)

    @property
    def running(self) -> int:
        """How many requests have begun and not ended, all models together."""
        return sum(place.is_open and not place.is_waiting for place in self._places)

    def take(self, model: str, client: str | None, key: ApiKey | None = None) -> Place:
        """A place for a request of ``client``, None for one without a limit of its own; raises QueueFull or KeyLimit.

        The client's ``key`` may have another limit than ``max_per_client``.
        """
        self.forget_ended()
        waiting = sum(place.is_waiting and place.model == model for place in self._places)
        if waiting >= self._max_queue:
            self._refuse(f"the queue of {model} is full ({self._max_queue} requests)", self._of(model))
        own = self._of_client(client)
        if key is not None and key.max_requests is not None:
            if len(own) >= key.max_requests:
                reason = f"{len(own)} requests of your API key have not ended (max_requests {key.max_requests})"
                self._refuse(reason, own, KeyLimit)
        elif len(own) >= self._max_per_client:
            self._refuse(f"{self._max_per_client} of your requests have not ended", own)
        place = Place(model, client, key)
        self._places.append(place)
        return place

    def check_work(self, place: Place, submission: Submission) -> None:
        """Raise KeyLimit if ``submission``, on ``place``, is more work than the client's key may have unfinished."""
        most = None if place.key is None else place.key.max_queued_work
        if most is None:
            return
        own, rows = self._of_client(place.client), submission.rows_left
        if rows > most:
            raise KeyLimit(f"this request needs {rows} rows of network calls, your API key may have {most} {_WORK}")
        left = sum(each.submission.rows_left for each in own if each.submission and each.is_open)
        if left + rows > most:
            self._refuse(f"{left} rows of network calls are queued, {rows} more exceed {most} {_WORK}", own, KeyLimit)

    def forget_ended(self) -> None:
        """Free what the requests that have ended hold."""
        self._places = [place for place in self._places if place.is_open]

    def _of_client(self, client: str | None) -> list[Place]:
        return [place for place in self._places if client is not None and place.client == client]

    def _of(self, model: str) -> list[Place]:
        return [place for place in self._places if place.model == model]

    def _refuse(self, reason: str, ahead: Sequence[Place], kind: type[QueueFull] = QueueFull) -> NoReturn:
        """Raise an error with the seconds that the requests ``ahead`` take, up to twice that at random.

        So clients that were refused together do not come again together.
        """
        models = len({place.model for place in self._places})  # they share the engine thread evenly
        seconds = models * self._pace.seconds_left(place.submission for place in ahead if place.submission)
        soonest = math.ceil(min(max(seconds, 1), _LONGEST_WAIT_S / 2))
        error = kind(f"{reason}: try again later")
        error.retry_after = random.randint(soonest, max(2 * soonest, soonest + 2))
        raise error
