"""Step times: how long the parts of a decision take, and how many network calls fit into the time that is left."""

from collections import deque

import numpy as np

from ..errors import ConfigError

_KEPT = 1000
"""The last measurements that are kept: a processor that gets slower in the heat shows in them."""
_QUANTILE = 0.99


class StepTimes:
    """The measured times of decisions for one number of robots, in seconds."""

    def __init__(self) -> None:
        self._calls: deque[float] = deque(maxlen=_KEPT)
        self._rest: deque[float] = deque(maxlen=_KEPT)

    def add(self, calls: list[float], rest: float) -> None:
        """Add a decision: the times of its steps, and of what comes before and after them, without the encoder."""
        self._calls.extend(calls)
        self._rest.append(rest)

    @property
    def is_measured(self) -> bool:
        return bool(self._calls)

    @property
    def step_p99(self) -> float:
        """The time that 99 of 100 network calls take at most."""
        return _p99(self._calls)

    @property
    def rest_p99(self) -> float:
        """The same for all else after the encoder: choosing, starting the sampler, restoring and checking."""
        return _p99(self._rest)

    def calls_within(self, seconds: float) -> int:
        """How many network calls fit into ``seconds``; 0 or less for none. ConfigError where nothing was measured.

        It adds up 99th percentiles, so a decision is late less often than one time in a hundred.
        """
        if not self.is_measured:
            raise ConfigError("a deadline needs measured times: call warm_up with this number of robots before")
        step, left = self.step_p99, seconds - self.rest_p99
        return int(left / step) if step else 10**9


def _p99(times: deque[float]) -> float:
    return float(np.quantile(np.fromiter(times, np.float64), _QUANTILE, method="higher"))
