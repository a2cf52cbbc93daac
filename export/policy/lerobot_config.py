"""LeRobot's config.json of a diffusion policy, checked."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ddim_edge.config import read_json
from ddim_edge.config.schema import Check, check_json, flag, list_of, mapping_of, object_with, real, text, whole
from ddim_edge.errors import ConfigError, choose_from, shown

from .encoder import CameraConfig
from .resnet import BACKBONES
from .unet1d import Unet1dConfig

STATE, ENVIRONMENT, ACTION = "observation.state", "observation.environment_state", "action"
CONFIG = "config.json"

_SIDES = list_of(whole(1, 10_000), 2)
_FEATURES = mapping_of(object_with({"type": text(100), "shape": list_of(whole(1, 100_000), 8)}), 1000)
_SCHEMA: Mapping[str, Check] = {
    "n_obs_steps": whole(1, 1000),
    "horizon": whole(1, 10_000),
    "n_action_steps": whole(1, 10_000),
    "input_features": _FEATURES,
    "output_features": _FEATURES,
    "normalization_mapping": mapping_of(text(100), 100),
    "vision_backbone": text(100),
    "crop_shape": _SIDES,
    "use_group_norm": flag,
    "spatial_softmax_num_keypoints": whole(1, 10_000),
    "use_separate_rgb_encoder_per_camera": flag,
    "down_dims": list_of(whole(1, 100_000), 12),
    "kernel_size": whole(1, 1000),
    "n_groups": whole(1, 100_000),
    "diffusion_step_embed_dim": whole(4, 100_000),
    "use_film_scale_modulation": flag,
    "noise_scheduler_type": text(100),
    "num_train_timesteps": whole(1, 1_000_000),
    "beta_schedule": text(100),
    "beta_start": real(),
    "beta_end": real(),
    "prediction_type": text(100),
    "clip_sample": flag,
    "clip_sample_range": real(),
    "num_inference_steps": whole(1, 1_000_000),
}
_SCHEDULERS = {"DDIM": "DDIMScheduler", "DDPM": "DDPMScheduler"}
_SCHEDULER_KEYS = (
    "num_train_timesteps",
    "beta_schedule",
    "beta_start",
    "beta_end",
    "prediction_type",
    "clip_sample",
    "clip_sample_range",
)


@dataclass(frozen=True, kw_only=True)
class Feature:
    """An observation, or the action: ``kind`` is LeRobot's type, such as STATE."""

    kind: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class LerobotConfig:
    """The keys of a config.json. Raises ConfigError for one that is no diffusion policy, or not supported here."""

    keys: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the config.json of ``folder``."""
        config = cls(read_json(folder / CONFIG))
        config._check(folder / CONFIG)
        return config

    @property
    def observations(self) -> Mapping[str, Feature]:
        """What the networks read of ``input_features``, in its order; LeRobot ignores the others."""
        read = {name: _feature(entry) for name, entry in self.keys["input_features"].items()}
        return {name: found for name, found in read.items() if found.kind == "VISUAL" or name in (STATE, ENVIRONMENT)}

    @property
    def cameras(self) -> tuple[str, ...]:
        """The names of the images."""
        return tuple(name for name, found in self.observations.items() if found.kind == "VISUAL")

    @property
    def action(self) -> Feature:
        return _feature(self.keys["output_features"][ACTION])

    @property
    def camera_config(self) -> CameraConfig | None:
        """How images become features; None without images."""
        if not self.cameras:
            return None
        _, height, width = self.observations[self.cameras[0]].shape
        crop = self.keys.get("crop_shape")
        return CameraConfig(
            backbone=self.keys["vision_backbone"],
            size=(height, width),
            crop=(crop[0], crop[1]) if crop else None,
            keypoints=self.keys["spatial_softmax_num_keypoints"],
            group_norm=self.keys["use_group_norm"],
            separate=self.keys.get("use_separate_rgb_encoder_per_camera", False),
        )

    @property
    def cond_dim(self) -> int:
        """The width of the conditioning."""
        vectors = sum(found.shape[0] for found in self.observations.values() if found.kind != "VISUAL")
        images = 2 * self.keys["spatial_softmax_num_keypoints"] * len(self.cameras) if self.cameras else 0
        return int(self.keys["n_obs_steps"] * (vectors + images))

    @property
    def unet(self) -> Unet1dConfig:
        """The sizes of the denoiser."""
        return Unet1dConfig(
            action_dim=self.action.shape[0],
            cond_dim=self.cond_dim,
            down_dims=tuple(self.keys["down_dims"]),
            kernel_size=self.keys["kernel_size"],
            n_groups=self.keys["n_groups"],
            step_embed_dim=self.keys["diffusion_step_embed_dim"],
            scales=self.keys["use_film_scale_modulation"],
        )

    @property
    def scheduler(self) -> Mapping[str, Any]:
        """The contents of scheduler_config.json. The other keys of diffusers' classes have their defaults."""
        steps = self.keys.get("num_inference_steps") or self.keys["num_train_timesteps"]
        kept = {name: self.keys[name] for name in _SCHEDULER_KEYS}
        return {"_class_name": _SCHEDULERS[self.keys["noise_scheduler_type"]], **kept, "num_inference_steps": steps}

    def _check(self, path: Path) -> None:
        if self.keys.get("type") != "diffusion":
            raise ConfigError(
                f"{path} is of a LeRobot policy of type {shown(self.keys.get('type'))}, and diffusion is supported"
            )
        check_json(self.keys, _SCHEMA, str(path))
        required = (*_SCHEMA.keys() - {"crop_shape", "num_inference_steps", "use_separate_rgb_encoder_per_camera"},)
        missing = sorted(name for name in required if self.keys.get(name) is None)
        if missing:
            raise ConfigError(f"{path} has no {missing[0]}: save the policy with LeRobot 0.4 or newer again")
        if self.keys["noise_scheduler_type"] not in _SCHEDULERS:
            raise ConfigError(choose_from("noise_scheduler_type", self.keys["noise_scheduler_type"], _SCHEDULERS))
        self._check_features(path)
        if self.cameras:
            self._check_cameras(path)

    def _check_features(self, path: Path) -> None:
        for features, name in (("input_features", STATE), ("output_features", ACTION)):
            entry = self.keys[features].get(name)
            if entry is None or len(_feature(entry).shape) != 1:
                raise ConfigError(f"{path} must have {name} among its {features}, with one number as its shape")
        for name, found in self.observations.items():
            if len(found.shape) != (3 if found.kind == "VISUAL" else 1):
                raise ConfigError(f"{path}: {name} must not have the shape {found.shape}")
        others = [name for name, entry in self.keys["input_features"].items() if _feature(entry).kind == "ENV"]
        if others not in ([], [ENVIRONMENT]):
            raise ConfigError(f"{path}: a feature of type ENV must be called {ENVIRONMENT}, not {shown(others[0])}")

    def _check_cameras(self, path: Path) -> None:
        shapes = {self.observations[name].shape for name in self.cameras}
        if len(shapes) > 1 or next(iter(shapes))[0] != 3:
            raise ConfigError(f"{path}: all images must have one shape (3, H, W), not {sorted(shapes)}")
        if self.keys["vision_backbone"] not in BACKBONES:
            raise ConfigError(choose_from("vision_backbone", self.keys["vision_backbone"], BACKBONES))
        if self.keys.get("resize_shape") is not None:
            raise ConfigError(f"{path}: resize_shape is not supported: train on images of the size that is needed")
        crop, (_, *size) = self.keys.get("crop_shape"), next(iter(shapes))
        if crop and (len(crop) != 2 or any(want > side for want, side in zip(crop, size, strict=True))):
            raise ConfigError(f"{path}: crop_shape {shown(crop)} does not fit into images of {size}")


def _feature(entry: Mapping[str, Any]) -> Feature:
    return Feature(kind=str(entry.get("type")), shape=tuple(entry.get("shape") or ()))
