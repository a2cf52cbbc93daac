"""The same policy in PyTorch: LeRobot's network with the bundle's weights, sampled by diffusers' DDIM."""

from collections.abc import Sequence
from pathlib import Path

import diffusers
import numpy as np
import onnx
import torch
from torch import Tensor

from ddim_edge.arrays import Sample
from ddim_edge.bundle.policy_config import PolicyConfig
from ddim_edge.policy.robot import Robot
from ddim_edge.policy.window import Observation, Window, normalized_observation
from ddim_edge_export.policy.unet1d import ConditionalUnet1d
from models.training.point_maze.saving import CONFIG

_PREFIX = "network."
"""What the exporter's graphs have before the names of weights."""


def unet_of(bundle: Path) -> ConditionalUnet1d:
    """The network with the weights of the bundle's graph, which have the names of the module's."""
    unet = ConditionalUnet1d(CONFIG.unet)
    stored = onnx.load(bundle / "unet" / "model.onnx").graph.initializer
    weights = {
        tensor.name.removeprefix(_PREFIX): torch.from_numpy(onnx.numpy_helper.to_array(tensor).copy())
        for tensor in stored
        if tensor.name.startswith(_PREFIX)
    }
    unet.load_state_dict(weights)
    return unet.eval()


class TorchPolicy:
    """Decides as our policy does, in PyTorch: the same windows, noise and schedule. ``compiled``: by torch.compile."""

    def __init__(self, bundle: Path, num_steps: int, *, compiled: bool = False) -> None:
        self._config, self._num_steps = PolicyConfig.read(bundle), num_steps
        unet = unet_of(bundle)
        self._unet = torch.compile(unet, dynamic=False) if compiled else unet
        self._scheduler = diffusers.DDIMScheduler.from_pretrained(bundle / "scheduler")
        self._robots: list[Robot] = []
        self._seed = 0

    def reset(self, seed: int | None = None) -> None:
        self._seed, self._robots = self._seed if seed is None else seed, []

    def observe_many(self, observations: Sequence[Observation]) -> None:
        if not self._robots:
            self._robots = [Robot(Window(self._config), self._seed + index) for index in range(len(observations))]
        for robot, seen in zip(self._robots, observations, strict=True):
            robot.window.add(normalized_observation(seen, self._config))

    @torch.inference_mode()
    def act_many(self, observations: Sequence[Observation]) -> Sample:
        self.observe_many(observations)
        shape = (1, self._config.horizon, self._config.action_dim)
        noise = np.concatenate([robot.next_noise()(shape) for robot in self._robots])
        windows = [
            np.concatenate([robot.window.stacked(name) for name in self._config.observations], axis=-1).ravel()
            for robot in self._robots
        ]
        chunk = self._sampled(torch.from_numpy(noise), torch.from_numpy(np.stack(windows))).numpy()
        first = self._config.first_action
        return self._config.action.restored(chunk[:, first : first + self._config.n_action_steps])

    def _sampled(self, sample: Tensor, condition: Tensor) -> Tensor:
        self._scheduler.set_timesteps(self._num_steps)
        for timestep in self._scheduler.timesteps:
            prediction = self._unet(sample, timestep.expand(len(sample)), condition)
            sample = self._scheduler.step(prediction, timestep, sample).prev_sample
        return sample
