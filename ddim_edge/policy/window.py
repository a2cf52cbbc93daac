"""Window: the last observations of one robot, checked and normalized."""

from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..arrays import Array, Sample
from ..bundle.policy_config import Observed, PolicyConfig
from ..errors import ConfigError, choose_from, listed

Observation = Mapping[str, Any]
"""What a robot observes at one time: by name, an array of numbers (or what NumPy makes one of) of the named shape."""

_IMAGE_RANK = 3


class Window:
    """The last ``n_obs_steps`` observations. The first one stands for all before it, as in LeRobot."""

    def __init__(self, config: PolicyConfig) -> None:
        self._config = config
        self._last: deque[Mapping[str, Sample]] = deque(maxlen=config.n_obs_steps)

    def add(self, normalized: Mapping[str, Sample]) -> None:
        """Add an observation that ``normalized_observation`` returned."""
        self._last.extend([normalized] * (1 if self._last else self._config.n_obs_steps))

    def stacked(self, name: str) -> Sample:
        """The last observations of ``name``, float32 (n_obs_steps, …), the newest last."""
        return np.stack([observation[name] for observation in self._last])


def normalized_observation(observation: Observation, config: PolicyConfig) -> Mapping[str, Sample]:
    """An observation, checked and normalized, float32 by name. Raises ConfigError for a wrong one."""
    if not isinstance(observation, Mapping):
        raise ConfigError(
            f"an observation must be a mapping with {listed(config.observations)}, not {observation!r:.80}"
        )
    for name in observation:
        if name not in config.observations:
            raise ConfigError(choose_from("observation", name, config.observations))
    missing = [name for name in config.observations if name not in observation]
    if missing:
        raise ConfigError(f"the observation has no {listed(missing)}: this policy takes {listed(config.observations)}")
    return {
        name: observed.normalization.normalized(_checked(name, observation[name], observed))
        for name, observed in config.observations.items()
    }


def _checked(name: str, value: Any, observed: Observed) -> Sample:
    """The value as float32. ConfigError for another shape, no numbers, NaN and infinity."""
    array: Array = np.asarray(value)
    if array.dtype.kind not in "fiu":
        raise ConfigError(f"{name} must be numbers, not of type {array.dtype}")
    if array.shape != observed.shape:
        raise ConfigError(f"{name} must have the shape {observed.shape}, without a batch, not {array.shape}")
    if array.dtype.kind != "f" and array.ndim == _IMAGE_RANK:
        raise ConfigError(
            f"{name} must be floats in [0, 1], as LeRobot has images, not {array.dtype}: divide it by 255"
        )
    with np.errstate(over="ignore"):
        copy = array.astype(np.float32)  # the caller may write into its own array later
    if not np.isfinite(copy).all():
        raise ConfigError(f"{name} has NaN or infinity: check the sensor")
    return copy
