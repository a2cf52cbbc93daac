"""Limits: actions that are NaN, infinite, or far beyond the trained range never reach a motor."""

import numpy as np

from ..arrays import Sample
from ..bundle.policy_config import PolicyConfig
from ..errors import ActionError, ConfigError

_ROUNDING = 1e-6


class Limits:
    """The range of the actions that a policy was trained on, widened by a factor about its middle.

    ``factor``: 1.0 is the trained range itself. Raises ConfigError for a factor below 1.
    """

    def __init__(self, config: PolicyConfig, factor: float) -> None:
        if not factor >= 1:
            raise ConfigError(f"range_factor must be 1 or more, not {factor}")
        self._config, self._factor = config, factor
        trained = config.action.trained
        if trained is None:
            self.low, self.high = np.full(config.action_dim, -np.inf), np.full(config.action_dim, np.inf)
            return
        middle, reach = (trained.low + trained.high) / 2, (trained.high - trained.low) / 2 * factor
        reach = reach + _ROUNDING * np.maximum(np.abs(trained.low), np.abs(trained.high)) + _ROUNDING
        self.low, self.high = (np.broadcast_to(end, config.action_dim) for end in (middle - reach, middle + reach))

    def check(self, actions: Sample, whose: str = "") -> None:
        """Raise ActionError unless all are within, and finite. ``actions``: float32 (n, action_dim), in units."""
        inside = np.isfinite(actions) & (actions >= self.low) & (actions <= self.high)
        if inside.all():
            return
        step, at = map(int, np.argwhere(~inside)[0])
        raise ActionError(
            f"{whose}action {step} has {self._name(at)} = {actions[step, at]:.6g}{self._units}, outside of "
            f"[{self.low[at]:.6g}, {self.high[at]:.6g}], the trained range widened by {self._factor:g}: it was not "
            "returned. Check the observations and the sampler; range_factor widens the range"
        )

    def _name(self, at: int) -> str:
        return self._config.action_names[at] if self._config.action_names else f"value {at}"

    @property
    def _units(self) -> str:
        return f" {self._config.units}" if self._config.units else ""
