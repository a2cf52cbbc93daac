"""How many jobs one client may have in a store that several processes share."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from ..api_keys import ApiKey
from ..errors import KeyLimit, QueueFull

_RETRY_S = (5, 15)
"""Retry-After, at random, so that clients that were refused together do not come again together."""


@dataclass(frozen=True)
class ClientLimit:
    """The limits of a client, over all processes with the store."""

    most_jobs: int
    """Most jobs that have not ended."""
    most_rows: int | None = None
    """Most rows of network calls that these still need, all together."""
    of_key: bool = False
    """Whether ``most_jobs`` is a limit of the client's API key."""

    def check(self, rows_left: Sequence[int], rows: int) -> None:
        """Raise QueueFull or KeyLimit for a job of ``rows`` rows beside open ones, which need ``rows_left`` each."""
        if len(rows_left) >= self.most_jobs:
            if self.of_key:
                reason = f"{len(rows_left)} jobs of your API key have not ended (max_requests {self.most_jobs})"
                refuse(reason, KeyLimit)
            refuse(f"{len(rows_left)} of your jobs have not ended")
        if self.most_rows is None:
            return
        limit = f"{self.most_rows} (max_queued_work)"
        if rows > self.most_rows:
            raise KeyLimit(f"this job needs {rows} rows of network calls, your API key may have {limit}")
        if sum(rows_left) + rows > self.most_rows:
            refuse(f"{sum(rows_left)} rows of network calls are queued, {rows} more exceed {limit}", KeyLimit)


def client_limit(key: ApiKey | None, max_per_client: int) -> ClientLimit:
    """The limits of a client with an API key, or without one that has limits."""
    if key is None:
        return ClientLimit(max_per_client)
    most = max_per_client if key.max_requests is None else key.max_requests
    return ClientLimit(most, key.max_queued_work, key.max_requests is not None)


def refuse(reason: str, kind: type[QueueFull] = QueueFull) -> NoReturn:
    """Raise an error that says when the client may come again."""
    error = kind(f"{reason}: try again later")
    error.retry_after = random.randint(*_RETRY_S)
    raise error
