"""Robot: what a policy remembers of one robot between decisions."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..arrays import Sample
from ..bundle.policy_config import PolicyConfig
from ..diffusion.noise import Draw
from .window import Window


@dataclass(eq=False)
class Robot:
    """One robot.

    Attributes:
        window: its last observations.
        seed: that of its noise.
        decisions: how many decisions were asked for since the reset.
        chunk: its last chunk as it was sampled, float32 (1, horizon, action_dim), not restored; None at first.
        returned: how many actions of that chunk were returned.
    """

    window: Window
    seed: int
    decisions: int = 0
    chunk: Sample | None = field(default=None, repr=False)
    returned: int = 0

    def next_noise(self) -> Draw:
        """The noise of the next decision: a function from a shape to float32 normals, which continues.

        Only the seed and the number of the decision choose it.
        """
        generator = np.random.Generator(np.random.Philox(key=[self.seed, self.decisions]))
        self.decisions += 1
        return lambda shape: generator.standard_normal(shape, np.float32)

    def keep(self, chunk: Sample, returned: int) -> None:
        """Remember the chunk of a decision."""
        self.chunk, self.returned = chunk, returned

    def executed(self, given: int | None) -> int:
        """How many actions of the chunk were executed: ``given``, or else those that were returned."""
        return self.returned if given is None else given

    def rest(self, executed: int | None) -> Sample | None:
        """The chunk as it is after its executed actions, with the last one repeated.

        Float32 (1, horizon, action_dim); None where there is no chunk, or nothing is left of it.
        """
        steps = self.executed(executed)
        if self.chunk is None or steps >= self.chunk.shape[1]:
            return None
        return np.concatenate([self.chunk[:, steps:], np.repeat(self.chunk[:, -1:], steps, axis=1)], axis=1)


def windows_of(robots: Sequence[Robot], config: PolicyConfig) -> dict[str, Sample]:
    """What the encoder takes: the windows of all robots, float32 (robots, n_obs_steps, …) by name."""
    return {name: np.stack([robot.window.stacked(name) for robot in robots]) for name in config.observations}
