"""Stacked observations: arrays of several robots, as a file or a request has them, one robot after the other."""

from collections.abc import Iterable, Mapping

from ..arrays import Array
from ..bundle.policy_config import Observed, PolicyConfig
from ..errors import ConfigError, choose_from, listed
from .window import Observation


def unstacked(arrays: Mapping[str, Array], config: PolicyConfig) -> list[list[Observation]]:
    """The observations of each robot, oldest first.

    ``arrays``: by name, of the shape of one observation, of (robots, …), or of (robots, times, …) with up to
    ``n_obs_steps`` successive observations. All must have as many robots and times. Raises ConfigError for others.
    """
    check_names(arrays, config)
    whole = {name: _whole(name, array, config) for name, array in arrays.items()}
    sizes = {name: array.shape[:2] for name, array in whole.items()}
    if len(set(sizes.values())) > 1:
        given = ", ".join(f"{name} {robots} and {times}" for name, (robots, times) in sizes.items())
        raise ConfigError(f"all observations must be of as many robots and times, not {given}")
    robots, times = next(iter(sizes.values()))
    return [[{name: array[robot, time] for name, array in whole.items()} for time in range(times)]
            for robot in range(robots)]  # fmt: skip


def check_names(names: Iterable[str], config: PolicyConfig) -> None:
    """Raise ConfigError unless ``names`` are those of the observations."""
    wanted, given = config.observations, list(names)
    for name in given:
        if name not in wanted:
            raise ConfigError(choose_from("observation", name, wanted))
    missing = [described(name, wanted[name], config) for name in wanted if name not in given]
    if missing:
        raise ConfigError(f"the policy decides from observations: give {listed(missing)}, too")


def described(name: str, observed: Observed, config: PolicyConfig) -> str:
    """An observation as messages have it: its name, and the shape of an array of several robots."""
    times = f"1 to {config.n_obs_steps}" if config.n_obs_steps > 1 else "1"
    return f"{name} (robots, {', '.join([times, *map(str, observed.shape)])})"


def _whole(name: str, array: Array, config: PolicyConfig) -> Array:
    """The array with both axes, of robots and of times."""
    observed = config.observations[name]
    added = len(observed.shape) + 2 - array.ndim
    whole = array if added == 0 else array[:, None] if added == 1 else array[None, None]
    fits = 0 <= added <= 2 and whole.shape[2:] == observed.shape
    if not fits or not 1 <= whole.shape[1] <= config.n_obs_steps or not len(whole):
        one = ", ".join(["robots", *map(str, observed.shape)])
        raise ConfigError(
            f"{name} has the shape {array.shape}: give {described(name, observed, config)}, or for one observation of "
            f"each robot ({one}), or for one robot {observed.shape}"
        )
    return whole
