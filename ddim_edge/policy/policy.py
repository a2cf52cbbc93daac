"""Policy: decides on a robot's actions from its observations, with a diffusion model."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..arrays import Sample
from ..bundle.bundle import Bundle
from ..bundle.policy_config import PolicyConfig
from ..config import whole_number
from ..errors import ConfigError
from .asked import Asked, OnMiss
from .control import Control, EnvStep
from .deciding import Clock, Decider
from .decision import Decision
from .limits import Limits
from .network import PolicyNetwork
from .robot import Robot
from .step_choice import StepChoice
from .step_times import StepTimes
from .window import Observation, Window, normalized_observation

_MAX_SEED = 2**63 - 1
_UNTIMED, _TIMED, _WARM_UP_STEPS = 2, 10, 10
"""The decisions of a warm-up, and their steps. At the first ones a device allocates memory and chooses algorithms."""


class Policy:
    """A robot policy, opened on a device. ``load_policy`` opens one, and describes the arguments. Not thread-safe.

    Attributes:
        bundle: its folder: files, shapes and settings.
        config: what it observes, and its actions.
        network: its encoder and its denoiser.
        last: how the last actions came about; None before the first decision.
    """

    def __init__(
        self,
        bundle: Bundle,
        network: PolicyNetwork,
        config: PolicyConfig,
        choice: StepChoice,
        *,
        seed: int = 0,
        range_factor: float = 1.5,
        clock: Clock = time.perf_counter,
    ) -> None:
        self.bundle, self.network, self.config, self._clock = bundle, network, config, clock
        self._decider = Decider(network, config, choice, Limits(config, range_factor), clock)
        self._robots: list[Robot] = []
        self._seed = seed
        self.last: Decision | None = None
        self.reset(seed)

    @property
    def provider(self) -> str:
        """The name of the provider that the denoiser really runs on."""
        return self.network.provider

    def times(self, robots: int = 1) -> StepTimes:
        """The measured times of decisions of so many robots together."""
        return self._decider.times(robots)

    def reset(self, seed: int | None = None, *, robot: int | None = None) -> None:
        """Begin an episode: forget observations and chunks, and count decisions from 0.

        Robot k has the noise of ``seed`` + k, by default that of the seed before: the same episode again. With
        ``robot`` only that one begins again, with the noise of ``seed``. Raises ConfigError for a wrong seed, and for a
        robot that has not observed anything.
        """
        if seed is not None:
            whole_number("seed", seed, low=0, high=_MAX_SEED)
        if robot is None:
            self._seed, self._robots = self._seed if seed is None else seed, []
            return
        whole_number("robot", robot, low=0, high=len(self._robots) - 1)
        before = self._robots[robot]
        self._robots[robot] = Robot(Window(self.config), before.seed if seed is None else seed)

    def observe(self, observation: Observation) -> None:
        """Add an observation between two decisions. See ``act`` for what it is."""
        self.observe_many([observation])

    def observe_many(self, observations: Sequence[Observation]) -> None:
        """Add an observation of each robot."""
        checked = [normalized_observation(observation, self.config) for observation in observations]
        if not self._robots:
            self._robots = [Robot(Window(self.config), self._seed + index) for index in range(len(checked))]
        if len(checked) != len(self._robots) or not checked:
            raise ConfigError(
                f"{len(checked)} robots were observed, and {len(self._robots)} since the last reset: give one "
                "observation for each, or call reset"
            )
        for robot, observation in zip(self._robots, checked, strict=True):
            robot.window.add(observation)

    def act(
        self,
        observation: Observation,
        deadline: float | None = None,
        warm_start: float | None = None,
        *,
        num_steps: int | None = None,
        executed: int | None = None,
        on_miss: OnMiss = "error",
    ) -> Sample:
        """Decide: the actions to execute now, float32 (n_action_steps, action_dim), in the robot's units.

        ``observation``: by name, an array of the shape that policy.json has, without a batch, in the robot's units;
        images are float32 (C, H, W) in [0, 1]. The decision is made from the last ``n_obs_steps`` observations; the
        first one after ``reset`` stands for those before it. A policy is trained on observations of successive steps:
        between decisions give each one to ``observe``.

        ``deadline``: in how many seconds the answer is needed. The number of steps is then the largest that measured
        times leave time for, from ``min_steps`` on. Where there is no time for these, ``on_miss`` decides: "error"
        raises DeadlineError, "continue" returns the next actions of the chunk before, perhaps fewer.
        ``warm_start``: start from the chunk before, shifted, with the noise that this part of the steps removes, and
        make only these: 0.3 of 10 steps are 3. Without a chunk before it starts from noise alone.
        ``num_steps``: the most steps, by default those of ``load_policy``. ``executed``: how many actions of the chunk
        before were executed, by default all that were returned.

        ``last`` has what was chosen. Raises ConfigError for a wrong observation or option, DeadlineError, ActionError
        for actions far beyond those of the training, and PredictionError for NaN.
        """
        options: Any = {"num_steps": num_steps, "executed": executed, "on_miss": on_miss}
        actions: Sample = self.act_many([observation], deadline, warm_start, **options)[0]
        return actions

    def act_many(
        self,
        observations: Sequence[Observation],
        deadline: float | None = None,
        warm_start: float | None = None,
        *,
        num_steps: int | None = None,
        executed: int | None = None,
        on_miss: OnMiss = "error",
    ) -> Sample:
        """Decide for several robots with one network call a step: float32 (robots, n_action_steps, action_dim).

        Robot k gets the actions that it would get alone with the seed plus k. The same observation several times gives
        candidates. The options are those of ``act``; an error of one robot is an error for all.
        """
        began = self._clock()
        asked = Asked(deadline=deadline, warm_start=warm_start, num_steps=num_steps, executed=executed, on_miss=on_miss)
        self.observe_many(observations)
        actions, self.last = self._decider.decide(self._robots, asked, began)
        return np.stack(actions)

    def warm_up(self, robots: int = 1) -> None:
        """Measure how long decisions of so many robots together take, for deadlines. About 120 network calls.

        No robot's observations or noise change.
        """
        whole_number("robots", robots, low=1, high=10_000)
        steps = min(_WARM_UP_STEPS, self._decider.num_steps)
        for decision in range(_UNTIMED + _TIMED):
            if decision == _UNTIMED:
                self._decider.measure(robots)
            made_up = [Robot(Window(self.config), seed=index) for index in range(robots)]
            for robot in made_up:
                robot.window.add(_zeros(self.config))
            self._decider.decide(made_up, Asked(num_steps=steps), self._clock(), checked=False)

    def control(
        self,
        env_step: EnvStep,
        hz: float,
        *,
        tolerance: float = 0.005,
        sleep: Callable[[float], None] = time.sleep,
        warm_start: float | None = None,
        on_miss: OnMiss = "error",
    ) -> Control:
        """A loop that sends actions at ``hz`` a second: iterate over it. See ``Control``."""
        times: Any = {"tolerance": tolerance, "clock": self._clock, "sleep": sleep}
        return Control(self, env_step, hz, warm_start=warm_start, on_miss=on_miss, **times)


def _zeros(config: PolicyConfig) -> dict[str, Sample]:
    return {name: np.zeros(observed.shape, np.float32) for name, observed in config.observations.items()}
