"""A scheduler file in words: what each of its options means."""

import json

from ..config import ClipConfig, FlowConfig, NoiseScheduleConfig, PreconditionedConfig, ThresholdConfig
from ..diffusion.samplers import SamplerConfig, changed_options


def scheduler_lines(config: SamplerConfig, num_steps: int) -> list[str]:
    """The lines about the scheduler: what each option means."""
    predicts = {
        "noise": "the noise ε",
        "angular_velocity": "the velocity v",
        "sample": "the clean image x_0",
        "flow": "the velocity ε - x_0 of flow matching",
        "edm": "EDM's F",
    }
    return [
        f"scheduler {config.name}: the network predicts {predicts[config.prediction_type]}",
        f"  trained on {config.num_train_steps} timesteps, {_levels(config)}",
        f"  usually {num_steps} steps, {_stochasticity(config)}, x_0 {_clipping(config)}",
        f"  differs from the defaults in: {json.dumps(changed_options(config))}",
    ]


def _levels(config: SamplerConfig) -> str:
    """What its noise levels come from, and how a run visits them."""
    if isinstance(config, PreconditionedConfig):
        spacing = getattr(config, "sigma_schedule", "karras")
        fed = "σ itself" if config.timestep_type == "sigma" else "log σ"
        ends = f"{config.sigma_min:g} to {config.sigma_max:g}"
        return f"noise levels σ from {ends} in {spacing} spacing, fed with {fed}"
    if isinstance(config, FlowConfig):
        shift = "of the image's size" if config.use_dynamic_shifting else f"{config.shift:g}"
        return f"shift {shift}, visited in {config.timestep_spacing} spacing"
    if not isinstance(config, NoiseScheduleConfig):
        return "noise levels that are angles, from 90 degrees to 0"
    betas = "given one by one" if config.trained_betas else config.beta_schedule.replace("_", " ")
    return f"betas {betas}, visited in {config.timestep_spacing} spacing"


def _stochasticity(config: SamplerConfig) -> str:
    words = "fresh noise at every step" if config.is_stochastic else "deterministic"
    eta = getattr(config, "eta", None)
    return words if eta is None else f"eta {eta:g} ({words})"


def _clipping(config: SamplerConfig) -> str:
    if isinstance(config, ThresholdConfig) and config.dynamic_threshold_ratio is not None:
        return f"thresholded at the quantile {config.dynamic_threshold_ratio:g}"
    if isinstance(config, ClipConfig) and config.clip_denoised_sample:
        return f"clipped to ±{config.clip_range:g}"
    return "not clipped"
