"""What the training recipes share: diffusion settings, learning rate, and the scheduler file of both models."""

from dataclasses import dataclass
from typing import Any

import diffusers

from ddim_edge.diffusion.samplers import DdimConfig

DIFFUSION = DdimConfig(beta_schedule="squared_cosine", prediction_type="angular_velocity")


def ddim_file(num_steps: int) -> dict[str, Any]:
    """The keys of scheduler_config.json: DDIM, ``num_steps`` by default."""
    return {
        "_class_name": "DDIMScheduler",
        "_diffusers_version": diffusers.__version__,
        "beta_end": DIFFUSION.beta_end,
        "beta_schedule": "squaredcos_cap_v2",
        "beta_start": DIFFUSION.beta_start,
        # For DDIM, which shares this file. Latents go beyond 1. And guidance overshoots [-1, 1] at high noise: clipping
        # x_0 there, and keeping ε, turns that against the class.
        "clip_sample": False,
        "num_inference_steps": num_steps,
        "num_train_timesteps": DIFFUSION.num_train_steps,
        "prediction_type": "v_prediction",
        "set_alpha_to_one": True,
        "timestep_spacing": "trailing",
    }


def scheduler_file(num_steps: int) -> dict[str, Any]:
    """The keys of scheduler_config.json: DPM-Solver++(2M) over Karras levels, ``num_steps`` by default."""
    changes = {
        "_class_name": "DPMSolverMultistepScheduler",
        "algorithm_type": "dpmsolver++",
        "sigma_max": 80.0,
        "sigma_min": 0.02,
        "solver_order": 2,
        "solver_type": "midpoint",
        "use_karras_sigmas": True,
    }
    return dict(sorted((ddim_file(num_steps) | changes).items()))


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The settings of a training run. ``steps`` counts optimizer steps of ``batch_size`` images."""

    steps: int = 6_400
    batch_size: int = 64
    learning_rate: float = 1.5e-3
    warmup_steps: int = 200
    decay_fraction: float = 0.25
    label_dropout: float = 0.1
    ema_decay: float = 0.999
    seed: int = 0

    def learning_rate_at(self, step: int) -> float:
        """Trapezoid: linear warm-up, constant, linear decay to zero over the last ``decay_fraction`` of the run."""
        left = (self.steps - step) / (self.decay_fraction * self.steps)
        return self.learning_rate * min(1.0, (step + 1) / self.warmup_steps, left)
