"""Control loop: sends a policy's actions at a fixed rate, and records which came late."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

from ..arrays import Sample
from ..config import number
from .asked import OnMiss
from .window import Observation

EnvStep = Callable[[Sample | None], Observation | None]
"""Sends an action, float32 (action_dim,), to the robot, and returns what the robot then observes; None ends the loop.
It is first called with None, for the observation before any action."""

_KEPT = 1000


class Deciding(Protocol):
    """What the loop needs of a policy."""

    def act(
        self,
        observation: Observation,
        deadline: float | None = None,
        warm_start: float | None = None,
        *,
        on_miss: OnMiss = "error",
    ) -> Sample: ...
    def observe(self, observation: Observation) -> None: ...


class Miss(NamedTuple):
    """An action that was sent late: its number, from 0 on, and by how many seconds."""

    action: int
    late: float


class Control:
    """Iterates over the actions of a policy, each after it was sent at its time.

    A decision must come before the next action is due: that is its deadline. The first one has no deadline, and the
    rate begins with its first action. After a late action the rate goes on from there: nothing is hurried to catch up.

    Attributes:
        sent: how many actions were sent.
        missed: how many of them were late by more than ``tolerance`` seconds.
        misses: the last thousand of these.

    ``warm_start`` and ``on_miss`` are those of ``Policy.act``. ``clock`` and ``sleep`` are for a program that has its
    own time.
    """

    def __init__(
        self,
        policy: Deciding,
        env_step: EnvStep,
        hz: float,
        *,
        tolerance: float = 0.005,
        warm_start: float | None = None,
        on_miss: OnMiss = "error",
        clock: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        number("hz", hz, low=0, high=1e6, open_interval=True)
        number("tolerance", tolerance, low=0)
        self._policy, self._env_step, self._period = policy, env_step, 1 / hz
        self._warm_start, self._on_miss = warm_start, on_miss
        self._tolerance, self._clock, self._sleep = tolerance, clock, sleep
        self.sent = self.missed = 0
        self.misses: deque[Miss] = deque(maxlen=_KEPT)

    def __iter__(self) -> Iterator[Sample]:
        waiting: deque[Sample] = deque()
        observation, due = self._env_step(None), None
        while observation is not None:
            if waiting:
                self._policy.observe(observation)
            else:
                waiting.extend(self._decide(observation, due))
            due = self._wait(due) + self._period
            action = waiting.popleft()
            observation = self._env_step(action)
            self.sent += 1
            yield action

    def _decide(self, observation: Observation, due: float | None) -> Sample:
        deadline = None if due is None else due - self._clock()
        return self._policy.act(observation, deadline, self._warm_start, on_miss=self._on_miss)

    def _wait(self, due: float | None) -> float:
        """Wait until an action is due. Returns when it was due, or where it is late the present time."""
        now = self._clock()
        if due is None:
            return now
        if now < due:
            self._sleep(due - now)
            now = self._clock()
        if now - due <= self._tolerance:
            return due
        self.missed += 1
        self.misses.append(Miss(self.sent, now - due))
        return now
