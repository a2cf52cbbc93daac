"""Policy config: what a robot policy observes, and the actions that it returns, read from policy.json."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ..arrays import Sample
from ..config.schema import Check, check_json, list_of, mapping_of, object_with, text, whole
from ..errors import BundleError, ConfigError
from .json_files import read_required
from .layout import POLICY
from .policy_statistics import Statistics

_LONGEST = 10_000


def _anything(_name: str, _value: Any) -> None:
    """No check: ``Statistics.read`` checks statistics against the shape."""


_NORMALIZATION = mapping_of(_anything, 100)
_OBSERVATION = object_with({"shape": list_of(whole(1, 100_000), 8), "normalization": _NORMALIZATION})
_ACTION: Mapping[str, Check] = {
    "dim": whole(1, _LONGEST),
    "names": list_of(text(1000), _LONGEST),
    "units": text(1000),
    "normalization": _NORMALIZATION,
}
_SCHEMA: Mapping[str, Check] = {
    "n_obs_steps": whole(1, 1000),
    "horizon": whole(1, _LONGEST),
    "n_action_steps": whole(1, _LONGEST),
    "observations": mapping_of(_OBSERVATION, 1000),
    "action": object_with(_ACTION),
}


@dataclass(frozen=True, eq=False)
class Observed:
    """One observation: its shape at one time, without a batch, and its normalization."""

    shape: tuple[int, ...]
    normalization: Statistics


@dataclass(frozen=True, eq=False)
class PolicyConfig:
    """What a policy observes and does.

    Attributes:
        n_obs_steps: how many observations, the last ones, a decision is made from.
        horizon: the number of actions of a chunk; the first belongs to the oldest of these observations.
        n_action_steps: how many of them are executed, from that of the newest observation on.
        observations: by name.
        action_dim: the number of values of an action.
        action_names: a name for each of them; empty where there are none.
        units: the units of actions; empty where they are not known.
        action: the normalization of actions.
    """

    n_obs_steps: int
    horizon: int
    n_action_steps: int
    observations: Mapping[str, Observed]
    action_dim: int
    action_names: tuple[str, ...]
    units: str
    action: Statistics

    @property
    def first_action(self) -> int:
        """The position in a chunk of the action that belongs to the newest observation."""
        return self.n_obs_steps - 1

    @property
    def chunk_shape(self) -> tuple[int, int, int]:
        """The shape of one robot's chunk as it is sampled: (1, horizon, action_dim)."""
        return 1, self.horizon, self.action_dim

    def actions(self, chunk: Sample, begin: int, end: int) -> Sample:
        """A part of a sampled chunk, float32 (1, horizon, action_dim), in units: (end - begin, action_dim)."""
        return self.action.restored(chunk[0, begin:end])

    def actions_to_execute(self, chunk: Sample) -> Sample:
        """The actions of a sampled chunk that are to be executed, float32 (n_action_steps, action_dim), in units."""
        return self.actions(chunk, self.first_action, self.first_action + self.n_action_steps)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read policy.json. Raises BundleError for a folder without one, and for wrong values."""
        path = folder / POLICY
        if not path.exists():
            raise BundleError(
                f"{folder} has no {POLICY}, so it is not a policy: `ddim-edge export LEROBOT_FOLDER OUT` writes one, "
                "and ddim_edge.load opens other bundles"
            )
        keys = read_required(path)
        try:
            check_json(keys, _SCHEMA, str(path))
            return cls._of(keys)
        except ConfigError as error:
            raise BundleError(f"{path}: {error}. Export or copy it again") from None

    @classmethod
    def _of(cls, keys: Mapping[str, Any]) -> Self:
        steps = {name: _required(keys, name) for name in ("n_obs_steps", "horizon", "n_action_steps")}
        action = _required(keys, "action")
        config = cls(
            **steps,
            observations={name: _observed(name, entry) for name, entry in _required(keys, "observations").items()},
            action_dim=_required(action, "dim"),
            action_names=tuple(action.get("names") or ()),
            units=action.get("units") or "",
            action=Statistics.read(action.get("normalization") or {}, (action["dim"],), "action's normalization"),
        )
        config._check()
        return config

    def _check(self) -> None:
        least = self.first_action + self.n_action_steps
        if self.horizon < least:
            raise ConfigError(
                f"horizon must be at least n_obs_steps - 1 + n_action_steps, which is {least}, not {self.horizon}"
            )
        if not self.observations:
            raise ConfigError("observations must name at least one")
        if self.action_names and len(self.action_names) != self.action_dim:
            raise ConfigError(f"action has {self.action_dim} values and {len(self.action_names)} names")


def _observed(name: str, entry: Mapping[str, Any]) -> Observed:
    shape = tuple(_required(entry, "shape"))
    return Observed(shape, Statistics.read(entry.get("normalization") or {}, shape, f"{name}'s normalization"))


def _required(keys: Mapping[str, Any], name: str) -> Any:
    if keys.get(name) is None:
        raise ConfigError(f"{name} is missing")
    return keys[name]
