"""Step choice: the most steps whose network calls are not too many."""

import functools
from collections.abc import Iterable

from ..config import whole_number
from ..diffusion.samplers import SamplerConfig, schedule_of
from ..errors import ConfigError


class StepChoice:
    """Chooses the number of steps of a decision.

    Attributes:
        config: the sampler's.
        num_steps: the usual number, which is also the most.
        min_steps: the fewest.

    Raises ConfigError for numbers that the sampler cannot make.
    """

    def __init__(self, config: SamplerConfig, num_steps: int, min_steps: int) -> None:
        schedule_of(config, num_steps)  # raises for a wrong number
        whole_number("min_steps", min_steps, low=1, high=num_steps)
        self.config, self.num_steps, self.min_steps = config, num_steps, min_steps
        self._calls = functools.cache(self._count_calls)

    def limit(self, asked: int | None) -> int:
        """The most steps of a decision: ``asked``, or else the usual number. Raises ConfigError for a wrong one."""
        if asked is None:
            return self.num_steps
        schedule_of(self.config, asked)
        return asked

    def calls(self, num_steps: int, strengths: Iterable[float]) -> int | None:
        """The network calls of ``num_steps`` steps, of which each strength leaves the last: those of the longest run.

        None if a run cannot be made.
        """
        counts = [self._calls(num_steps, strength) for strength in set(strengths)]
        return None if None in counts else max(count for count in counts if count is not None)

    def most(self, limit: int, strengths: Iterable[float], calls: int) -> int | None:
        """The most steps, up to ``limit``, that take at most ``calls`` calls; None if even the fewest take more."""
        strengths = set(strengths)
        for num_steps in range(limit, self.min_steps - 1, -1):
            needed = self.calls(num_steps, strengths)
            if needed is not None and needed <= calls:
                return num_steps
        return None

    def _count_calls(self, num_steps: int, strength: float) -> int | None:
        try:
            return len(schedule_of(self.config, num_steps, strength).timesteps)
        except ConfigError:
            return None
