"""Opens a policy."""

import os
import time
from pathlib import Path

from ..bundle.policy_config import PolicyConfig
from ..bundle.read import open_bundle
from ..diffusion.samplers import SamplerConfig
from ..runtime.providers.device import Device
from .deciding import Clock
from .network import PolicyNetwork
from .policy import Policy
from .step_choice import StepChoice


def load_policy(
    folder: str | os.PathLike[str],
    provider: str | Device = "auto",
    *,
    sampler: str | SamplerConfig | None = None,
    num_steps: int | None = None,
    min_steps: int = 1,
    seed: int = 0,
    range_factor: float = 1.5,
    warm_up: bool = True,
    clock: Clock = time.perf_counter,
) -> Policy:
    """Open a policy's bundle on ``provider``: a name, ``cuda:1``, or a Device.

    ``sampler``, a name or a config, and ``num_steps``: by default the model's own. ``min_steps``: the fewest steps that
    a deadline may choose; give the fewest at which you measured success. ``seed``: as in ``Policy.reset``. Actions
    beyond the trained range, widened by ``range_factor`` about its middle, raise ActionError. ``warm_up`` measures
    decisions of one robot, which deadlines need. ``clock`` returns seconds and never goes back.

    Raises BundleError for a folder that is no policy, or a broken one, ProviderError if the provider does not run, and
    ConfigError for wrong options.
    """
    config, bundle = PolicyConfig.read(Path(folder)), open_bundle(folder)
    chosen = bundle.sampler(sampler) if isinstance(sampler, str) else sampler or bundle.own_sampler
    steps = bundle.default_steps(chosen) if num_steps is None else num_steps
    choice = StepChoice(chosen, steps, min_steps)
    network = PolicyNetwork(bundle, config, Device.parse(provider) if isinstance(provider, str) else provider)
    policy = Policy(bundle, network, config, choice, seed=seed, range_factor=range_factor, clock=clock)
    if warm_up:
        policy.warm_up()
    return policy
