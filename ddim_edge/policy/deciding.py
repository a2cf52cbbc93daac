"""Deciding: from the windows of some robots to their actions, with as many steps as the deadline leaves time for."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from ..arrays import Sample
from ..bundle.policy_config import PolicyConfig
from ..diffusion.noise import Draw
from ..diffusion.samplers import Sampler, SamplerConfig, first_sample, schedule_of, start
from ..diffusion.samplers.inpaint import add_noise
from ..errors import DeadlineError
from .asked import Asked
from .decision import Decision
from .limits import Limits
from .network import PolicyNetwork
from .robot import Robot, windows_of
from .step_choice import StepChoice
from .step_times import StepTimes

Clock = Callable[[], float]
"""Returns the time in seconds; it never goes back."""


class _Start(NamedTuple):
    """What one robot's chunk is sampled from.

    Attributes:
        noise: its noise.
        rest: the rest of the chunk before, for a warm start; None to start from noise alone.
        strength: the part of the steps that is made.
    """

    noise: Draw
    rest: Sample | None
    strength: float


class Decider:
    """Makes decisions, and measures them once ``measure`` was called for their number of robots.

    ``limits``: those of the actions.
    """

    def __init__(
        self, network: PolicyNetwork, config: PolicyConfig, choice: StepChoice, limits: Limits, clock: Clock
    ) -> None:
        self._network, self._config, self._choice, self._limits, self.clock = network, config, choice, limits, clock
        self._times: dict[int, StepTimes] = {}

    @property
    def num_steps(self) -> int:
        """The usual number of steps."""
        return self._choice.num_steps

    def times(self, robots: int) -> StepTimes:
        """The measured times of decisions of so many robots together."""
        return self._times.get(robots) or StepTimes()

    def measure(self, robots: int) -> None:
        """Measure decisions of so many robots from now on, and forget what was measured before."""
        self._times[robots] = StepTimes()

    def decide(
        self, robots: Sequence[Robot], asked: Asked, began: float, *, checked: bool = True
    ) -> tuple[list[Sample], Decision]:
        """The actions of each robot, float32 (n, action_dim) in its units, and how they came about.

        ``began``: when the decision was asked for. ``checked``: whether the actions must be within the limits. Raises
        DeadlineError, ActionError and PredictionError, and ConfigError for options that the sampler does not support.
        """
        starts = [_start_of(robot, asked) for robot in robots]
        conditionings = self._network.encode(windows_of(robots, self._config))
        encoded = self.clock()
        num_steps = self._num_steps(asked, starts, encoded - began)
        if num_steps is None:
            return self._continued(robots, asked), self._decision(asked, began, continued=True)
        samplers = [self._sampler(num_steps, one) for one in starts]
        ends = [self.clock()]
        chunks = self._network.sample(samplers, conditionings, lambda: ends.append(self.clock()))
        actions = self._finished(robots, chunks, checked=checked)
        calls: list[float] = np.diff(ends).tolist()
        is_warm = all(one.rest is not None for one in starts)
        decision = self._decision(asked, began, num_steps=num_steps, network_calls=len(calls), is_warm=is_warm)
        if len(robots) in self._times:
            self._times[len(robots)].add(calls, decision.seconds - (encoded - began) - sum(calls))
        return actions, decision

    def _num_steps(self, asked: Asked, starts: Sequence[_Start], spent: float) -> int | None:
        """The number of steps; None where the chunk before goes on. DeadlineError where the time is too short."""
        limit = self._choice.limit(asked.num_steps)
        if asked.deadline is None:
            return limit
        times, strengths = self.times(len(starts)), {one.strength for one in starts}
        chosen = self._choice.most(limit, strengths, times.calls_within(asked.deadline - spent))
        if chosen is None and asked.on_miss == "error":
            raise self._too_short(asked.deadline, spent, times)
        return chosen

    def _too_short(self, deadline: float, spent: float, times: StepTimes) -> DeadlineError:
        encoder, step, rest = 1000 * spent, 1000 * times.step_p99, 1000 * times.rest_p99
        return DeadlineError(
            f"a deadline of {1000 * deadline:.4g} ms leaves no time for {self._choice.min_steps} steps: the encoder "
            f"took {encoder:.4g} ms, a network call takes up to {step:.4g} ms and all else {rest:.4g} ms (99th "
            "percentiles). Give more time, a smaller min_steps, or on_miss='continue'"
        )

    def _sampler(self, num_steps: int, one: _Start) -> Sampler:
        config = self._choice.config
        if one.rest is None:
            return sampler_from_noise(self._config, config, num_steps, one.noise)
        draw = partial(one.noise, self._config.chunk_shape)
        level = schedule_of(config, num_steps, one.strength).levels[0]
        return start(config, num_steps, add_noise(one.rest, draw(), level), draw, one.strength)

    def _finished(self, robots: Sequence[Robot], chunks: Sequence[Sample], *, checked: bool) -> list[Sample]:
        """The actions to execute of each chunk. No robot keeps its chunk if the actions of one are refused."""
        actions = [self._config.actions_to_execute(chunk) for chunk in chunks]
        if checked:
            self._check(actions)
        for robot, chunk in zip(robots, chunks, strict=True):
            robot.keep(chunk, self._config.n_action_steps)
        return actions

    def _continued(self, robots: Sequence[Robot], asked: Asked) -> list[Sample]:
        """The next actions of the chunks before, as many as all robots have, at most ``n_action_steps``."""
        first, horizon = self._config.first_action, self._config.horizon
        begins = [first + robot.executed(asked.executed) for robot in robots]
        count = min(self._config.n_action_steps, horizon - max(begins))
        if count < 1 or any(robot.chunk is None for robot in robots):
            raise DeadlineError(
                f"a deadline of {1000 * (asked.deadline or 0):.4g} ms leaves no time for a decision, and the chunk "
                "before has no actions left: give more time, or stop the robot"
            )
        chunks = [robot.chunk for robot in robots if robot.chunk is not None]
        actions = [self._config.actions(chunk, at, at + count) for chunk, at in zip(chunks, begins, strict=True)]
        self._check(actions)
        for robot, at in zip(robots, begins, strict=True):
            robot.returned = at - first + count
        return actions

    def _check(self, actions: Sequence[Sample]) -> None:
        for index, one in enumerate(actions):
            self._limits.check(one, f"robot {index}'s " if len(actions) > 1 else "")

    def _decision(
        self,
        asked: Asked,
        began: float,
        *,
        num_steps: int = 0,
        network_calls: int = 0,
        continued: bool = False,
        is_warm: bool = False,
    ) -> Decision:
        return Decision(
            num_steps=num_steps,
            network_calls=network_calls,
            continued=continued,
            warm_start=asked.warm_start if is_warm else None,
            deadline=asked.deadline,
            seconds=self.clock() - began,
        )


def sampler_from_noise(policy: PolicyConfig, config: SamplerConfig, num_steps: int, noise: Draw) -> Sampler:
    """The sampler of a chunk that starts from noise alone."""
    draw = partial(noise, policy.chunk_shape)
    return start(config, num_steps, first_sample(config, num_steps, draw()), draw)


def _start_of(robot: Robot, asked: Asked) -> _Start:
    rest = robot.rest(asked.executed) if asked.warm_start is not None else None
    return _Start(robot.next_noise(), rest, 1.0 if rest is None else asked.warm_start or 1.0)
