"""What ``ddim-edge inspect`` says of a robot policy."""

from typing import Any

from ..bundle.bundle import Bundle
from ..bundle.policy_config import PolicyConfig


def policy_facts(bundle: Bundle) -> dict[str, Any] | None:
    """What policy.json says, as JSON values, without statistics; None for a bundle that is no policy."""
    if not bundle.is_policy:
        return None
    config = PolicyConfig.read(bundle.folder)
    return {
        "n_obs_steps": config.n_obs_steps,
        "observations": {name: list(observed.shape) for name, observed in config.observations.items()},
        "horizon": config.horizon,
        "n_action_steps": config.n_action_steps,
        "action_dim": config.action_dim,
        "action_names": list(config.action_names),
        "units": config.units,
    }


def policy_lines(facts: dict[str, Any] | None) -> list[str]:
    """The lines about a policy."""
    if facts is None:
        return []
    shapes = ", ".join(f"{name} ({', '.join(map(str, shape))})" for name, shape in facts["observations"].items())
    units = f" {facts['units']}" if facts["units"] else ""
    horizon, dim, executed = (facts[name] for name in ("horizon", "action_dim", "n_action_steps"))
    return [
        f"a robot policy, which `run` and `serve` give observations: the last {facts['n_obs_steps']} of {shapes}",
        f"chunks of {horizon} actions of {dim} values{units}, of which {executed} are executed",
    ]
