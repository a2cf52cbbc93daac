"""PolicyEncoder: from the windows of observations to the conditioning, as in LeRobot's DiffusionModel."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat

import numpy as np
import torch
from torch import Tensor, nn

from .resnet import CHANNELS, backbone, group_norm


@dataclass(frozen=True, kw_only=True)
class CameraConfig:
    """How images become features.

    Attributes:
        backbone: the name of a ResNet.
        size: (H, W) of the images.
        crop: (H, W) of their middle that is used; None for all.
        keypoints: how many the spatial softmax finds.
        group_norm: whether the backbone has group norms, not batch norms.
        separate: whether each camera has weights of its own.
    """

    backbone: str
    size: tuple[int, int]
    crop: tuple[int, int] | None
    keypoints: int
    group_norm: bool
    separate: bool


class _SpatialSoftmax(nn.Module):
    """The expected place of each keypoint, in [-1, 1] (Finn et al. 2015, https://arxiv.org/abs/1509.06113)."""

    pos_grid: Tensor

    def __init__(self, height: int, width: int, keypoints: int) -> None:
        super().__init__()
        self.nets = nn.Conv2d(CHANNELS, keypoints, 1)
        x, y = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
        self.register_buffer("pos_grid", torch.from_numpy(np.stack([x.ravel(), y.ravel()], axis=1)).float())

    def forward(self, features: Tensor) -> Tensor:
        attention = torch.softmax(self.nets(features).flatten(2), dim=-1)
        return attention @ self.pos_grid


class _RgbEncoder(nn.Module):
    """From images (B, 3, H, W) to features (B, 2·keypoints)."""

    def __init__(self, config: CameraConfig) -> None:
        super().__init__()
        height, width = config.crop or config.size
        self._top, self._left = (
            round((side - want) / 2) for side, want in zip(config.size, (height, width), strict=True)
        )
        self._height, self._width = height, width
        self.backbone = backbone(config.backbone, group_norm if config.group_norm else nn.BatchNorm2d)
        self.pool = _SpatialSoftmax(-(-height // 32), -(-width // 32), config.keypoints)
        self.out = nn.Linear(2 * config.keypoints, 2 * config.keypoints)
        self.relu = nn.ReLU()

    def forward(self, images: Tensor) -> Tensor:
        middle = images[..., self._top : self._top + self._height, self._left : self._left + self._width]
        places = self.pool(self.backbone(middle)).flatten(1)
        result: Tensor = self.relu(self.out(places))
        return result


class PolicyEncoder(nn.Module):
    """Joins state, image features and the environment's state of each time, and flattens them.

    ``state``: the name of the robot's state. ``cameras``: the names of the images, of which all have the sizes of
    ``config``. ``environment``: the name of the environment's state; None without one.
    """

    def __init__(
        self, state: str, cameras: Sequence[str], environment: str | None, config: CameraConfig | None
    ) -> None:
        super().__init__()
        self._state, self._cameras, self._environment = state, tuple(cameras), environment
        self.rgb_encoder: nn.Module | None = None
        if config is not None:
            encoders = [_RgbEncoder(config) for _ in (cameras if config.separate else (None,))]
            self.rgb_encoder = nn.ModuleList(encoders) if config.separate else encoders[0]

    def forward(self, observations: Mapping[str, Tensor]) -> Tensor:
        """The conditioning, (B, n_obs_steps · width), from windows (B, n_obs_steps, …) by name."""
        parts = [observations[self._state], *self._features(observations)]
        if self._environment is not None:
            parts.append(observations[self._environment])
        return torch.cat(parts, dim=-1).flatten(1)

    def _features(self, observations: Mapping[str, Tensor]) -> list[Tensor]:
        """The features of each camera, (B, n_obs_steps, 2·keypoints)."""
        encoders = self.rgb_encoder if isinstance(self.rgb_encoder, nn.ModuleList) else repeat(self.rgb_encoder)
        return [
            encoder(observations[name].flatten(0, 1)).unflatten(0, (-1, observations[name].shape[1]))
            for name, encoder in zip(self._cameras, encoders, strict=False)
            if encoder is not None
        ]
