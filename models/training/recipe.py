"""A training recipe: what a run depends on, and its learning rate."""

from dataclasses import dataclass

from ddim_edge.diffusion.samplers import DdimConfig

DIFFUSION = DdimConfig(beta_schedule="squared_cosine", prediction_type="angular_velocity")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a training run depends on; ``steps`` counts optimizer steps of ``batch_size`` images."""

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
