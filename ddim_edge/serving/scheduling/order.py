"""The order of requests: of those that wait, by their work; of those that run, the clients taking turns."""

from collections import deque
from collections.abc import Sequence
from itertools import zip_longest

from ...generation.engine import Job
from .submission import Submission


def by_rank(waiting: Sequence[Submission], done: float) -> list[Submission]:
    """The waiting requests: the models in order of arrival, the requests of each by rank, equal ones by arrival.

    ``done``: the work that the scheduler has done so far, in rows; gives a rank to those that have none.
    """
    by_model: dict[str, deque[Submission]] = {}
    for submission in waiting:
        if submission.rank is None:
            submission.rank = done + submission.rows_of_each_kind_left.work
    for submission in sorted(waiting, key=lambda each: each.rank or 0):
        by_model.setdefault(submission.model, deque()).append(submission)
    return [by_model[submission.model].popleft() for submission in waiting]


def fair_order(running: Sequence[Submission]) -> list[Job]:
    """One job of each submission, the clients taking turns, in order of arrival, then a second one of each, and so on.

    So where there are more requests than rows, each client gets a row before another one gets its second.
    """
    by_client: dict[str | None, list[Submission]] = {}
    for submission in running:
        by_client.setdefault(submission.client, []).append(submission)
    submissions = [each for turn in zip_longest(*by_client.values()) for each in turn if each is not None]
    turns = zip_longest(*(submission.jobs for submission in submissions))
    return [job for turn in turns for job in turn if job is not None]
