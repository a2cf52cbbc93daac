"""Deciders: our policy, and the same network in PyTorch with diffusers' scheduler, as LeRobot runs it."""

from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
from safetensors.torch import load_file

import ddim_edge
from ddim_edge.bundle.policy_config import PolicyConfig
from ddim_edge.policy.decision import Decision
from ddim_edge_export.policy.lerobot_config import LerobotConfig
from ddim_edge_export.policy.unet1d import ConditionalUnet1d
from models.training.point_maze.maze import GOAL, STATE, Array, Seen

Diffusers: Any = diffusers


class Ours:
    """A policy of ddim_edge; ``options`` are those of ``act``. Where it has no action in time, the ball is not pushed.

    Attributes:
        decisions: how the actions came about.
        stopped: how often there were none.
    """

    def __init__(self, policy: ddim_edge.Policy, **options: Any) -> None:
        self.policy, self._options = policy, options
        self.decisions: list[Decision] = []
        self.stopped = 0

    def reset(self, seed: int) -> None:
        """Begin episodes."""
        self.policy.reset(seed=seed)

    def observe(self, seen: Sequence[Seen]) -> None:
        """Note observations."""
        self.policy.observe_many(seen)

    def act(self, seen: Sequence[Seen]) -> Array:
        """Decide."""
        try:
            actions = self.policy.act_many(seen, **self._options)
        except ddim_edge.DeadlineError:
            self.stopped += 1
            return np.zeros((len(seen), 1, self.policy.config.action_dim), np.float32)
        assert self.policy.last is not None
        self.decisions.append(self.policy.last)
        return actions


class Torch:
    """The network in PyTorch, with the statistics of policy.json. It draws the noise that ours draws.

    ``predict`` wraps the module, for instance by ``torch.compile``.
    """

    def __init__(
        self, lerobot: Path, bundle: Path, num_steps: int, predict: Callable[[Any], Any] = lambda module: module
    ) -> None:
        config, self._policy = LerobotConfig.read(lerobot), PolicyConfig.read(bundle)
        unet = ConditionalUnet1d(config.unet).eval()
        weights = load_file(lerobot / "model.safetensors")
        unet.load_state_dict({name.removeprefix("diffusion.unet."): value for name, value in weights.items()})
        self._unet, self._num_steps = predict(unet), num_steps
        keys = {
            name: value for name, value in config.scheduler.items() if name[0] != "_" and name != "num_inference_steps"
        }
        self._scheduler = Diffusers.DDIMScheduler(**keys)
        self.reset(0)

    def reset(self, seed: int) -> None:
        """Begin episodes."""
        self._seed, self._decisions = seed, 0
        self._window: deque[Array] = deque(maxlen=self._policy.n_obs_steps)

    def observe(self, seen: Sequence[Seen]) -> None:
        """Note observations."""
        names = self._policy.observations
        parts = [np.stack([names[name].normalization.normalized(one[name]) for one in seen]) for name in (STATE, GOAL)]
        joined = np.concatenate(parts, axis=1)
        self._window.extend([joined] * (1 if self._window else self._policy.n_obs_steps))

    def act(self, seen: Sequence[Seen]) -> Array:
        """Decide."""
        self.observe(seen)
        condition = torch.from_numpy(np.concatenate(list(self._window), axis=1))
        shape = (1, self._policy.horizon, self._policy.action_dim)
        noise = [
            np.random.Generator(np.random.Philox(key=[self._seed + ball, self._decisions])).standard_normal(
                shape, np.float32
            )
            for ball in range(len(seen))
        ]
        self._decisions += 1
        chunks = self._sampled(torch.from_numpy(np.concatenate(noise)), condition).numpy()
        first = self._policy.first_action
        return self._policy.action.restored(chunks[:, first : first + self._policy.n_action_steps])

    @torch.no_grad()
    def _sampled(self, sample: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        self._scheduler.set_timesteps(self._num_steps)
        for timestep in self._scheduler.timesteps:
            times = torch.full((len(sample),), float(timestep))
            sample = self._scheduler.step(self._unet(sample, times, condition), timestep, sample).prev_sample
        return sample
