"""Stateless decisions: of robots whose observations, seed and number of decisions the caller keeps.

They are jobs of an engine, so those of several callers share its network calls. Robot, seed and number give the actions
that ``Policy.act`` gives.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ..arrays import Sample
from ..bundle.policy_config import PolicyConfig
from ..diffusion.samplers import SamplerConfig
from ..generation.engine import Job
from .deciding import sampler_from_noise
from .limits import Limits
from .network import PolicyNetwork
from .robot import Robot, windows_of
from .window import Observation, Window, normalized_observation


@dataclass(frozen=True, eq=False)
class Decisions:
    """One decision of each of some robots, its number, and the limits that their actions must keep."""

    config: PolicyConfig
    robots: Sequence[Robot]
    decision: int
    limits: Limits

    def jobs(self, network: PolicyNetwork, sampler: SamplerConfig, num_steps: int) -> list[Job]:
        """A job for each robot. The encoder runs now, once for all; it raises PredictionError for NaN and infinity."""
        conditionings = network.encode(windows_of(self.robots, self.config))
        samplers = [sampler_from_noise(self.config, sampler, num_steps, robot.next_noise()) for robot in self.robots]
        return [Job(*each) for each in zip(samplers, conditionings, strict=True)]

    def actions(self, chunk: Sample, index: int) -> Sample:
        """The actions of robot ``index``, float32 (n_action_steps, action_dim), from its chunk, (1, horizon, dim).

        Raises ActionError for actions beyond the limits.
        """
        actions = self.config.actions_to_execute(chunk)
        self.limits.check(actions, f"robot {index}'s " if len(self.robots) > 1 else "")
        return actions


def decisions(
    config: PolicyConfig,
    observations: Sequence[Sequence[Observation]],
    *,
    seed: int,
    decision: int,
    range_factor: float = 1.5,
) -> Decisions:
    """The decisions of robots from their last observations, oldest first, as ``unstacked`` returns them.

    Robot k has the noise of ``seed`` + k and the number ``decision``, counted from 0. Raises ConfigError for a wrong
    observation, and for a ``range_factor`` below 1.
    """
    robots = [Robot(_window(seen, config), seed + index, decision) for index, seen in enumerate(observations)]
    return Decisions(config, robots, decision, Limits(config, range_factor))


def _window(observations: Sequence[Observation], config: PolicyConfig) -> Window:
    window = Window(config)
    for observation in observations:
        window.add(normalized_observation(observation, config))
    return window
