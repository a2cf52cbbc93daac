"""The loop of diffusers' pipelines without their extras: encode, denoise, decode."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from .conditioning import Conditioner
from .networks import Networks

Denoise = Callable[..., Any]
"""The UNet, compiled or eager."""


class Timings(NamedTuple):
    """Seconds for one batch of images."""

    image: float
    steps: list[float]
    prepare: float
    finish: float


class Loop:
    """Makes batches of images of ``sample_shape``; with guidance if ``guidance_scale`` is not None."""

    def __init__(
        self,
        networks: Networks,
        denoise: Denoise,
        *,
        batch: int,
        steps: int,
        sample_shape: tuple[int, int, int],
        guidance_scale: float | None,
    ) -> None:
        self._networks, self._denoise = networks, denoise
        self._shape, self._steps, self._scale = (batch, *sample_shape), steps, guidance_scale
        self._conditioner = Conditioner(networks, batch, guided=guidance_scale is not None)
        self._device = networks.unet.device

    @property
    def rows(self) -> int:
        """Rows of a network call."""
        return self._conditioner.rows

    @torch.no_grad()
    def run(self, seed: int) -> Timings:
        """Make one batch. On a GPU, which runs asynchronously, a step's time is the mean over all steps."""
        began = self._now()
        torch.manual_seed(seed)
        arguments = self._conditioner.arguments()
        sample = torch.randn(self._shape, device=self._device, dtype=self._networks.unet.dtype)
        encoded = self._now()
        sample, marks = self._sample(sample, arguments)
        sampled = self._now()
        self._decode(sample)
        ended = self._now()
        whole = [(sampled - encoded) / len(marks)]
        steps = (
            whole if self._device.type == "cuda" else [b - a for a, b in zip([encoded, *marks], marks, strict=False)]
        )
        return Timings(ended - began, steps, encoded - began, ended - sampled)

    def _sample(self, sample: torch.Tensor, arguments: dict[str, Any]) -> tuple[torch.Tensor, list[float]]:
        scheduler, marks = self._networks.scheduler, list[float]()
        scheduler.set_timesteps(self._steps, device=self._device)
        for timestep in scheduler.timesteps:
            model_input = sample if self._scale is None else torch.cat([sample] * 2)
            prediction = self._denoise(scheduler.scale_model_input(model_input, timestep), timestep, **arguments).sample
            if self._scale is not None:
                unconditional, conditional = prediction.chunk(2)
                prediction = unconditional + self._scale * (conditional - unconditional)
            if vars(scheduler).get("variance_type") not in ("learned", "learned_range"):
                prediction = prediction[:, : self._shape[1]]  # without what the network predicts of the variance
            sample = scheduler.step(prediction, timestep, sample).prev_sample
            marks.append(time.perf_counter())
        return sample, marks

    def _decode(self, sample: torch.Tensor) -> Any:
        """Pixels on the host, uint8."""
        vae = self._networks.vae
        if vae is not None:
            scale = getattr(vae.config, "scaling_factor", None) or 1.0
            sample = vae.decode((sample / scale).to(vae.dtype)).sample
        return (sample / 2 + 0.5).clamp(0, 1).mul(255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()

    def _now(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()
