"""A grid of DDIM configurations in diffusers' words."""

import dataclasses
import functools
import itertools
import random
from dataclasses import dataclass
from typing import Any

import numpy as np

AXES: dict[str, tuple[Any, ...]] = {
    "betas": ("linear", "scaled_linear", "squaredcos_cap_v2", "trained"),
    "prediction_type": ("epsilon", "v_prediction", "sample"),
    "spacing": ("leading", "trailing", "linspace"),
    "offset": (0, 1),
    "alpha_to_one": (True, False),
    "limit": ("none", "clip 1", "clip 2.5", "threshold 1", "threshold 3"),
    "zero_snr": (False, True),
    "rederive": (False, True),
    "eta": (0.0, 0.3, 1.0),
    "steps": ("1", "7", "10", "30", "50", "T"),
}

Pair = tuple[tuple[str, Any], tuple[str, Any]]

_TRAINED_BETAS = tuple(np.random.default_rng(7).uniform(1e-4, 0.15, 120).tolist())


@dataclass(frozen=True)
class Case:
    """One point of the grid."""

    betas: str
    prediction_type: str
    spacing: str
    offset: int
    alpha_to_one: bool
    limit: str
    zero_snr: bool
    rederive: bool
    eta: float
    steps: str

    @property
    def num_train_steps(self) -> int:
        return len(_TRAINED_BETAS) if self.betas == "trained" else 1000

    @property
    def num_steps(self) -> int:
        return self.num_train_steps if self.steps == "T" else int(self.steps)

    @property
    def limit_size(self) -> float:
        return float(self.limit.split()[1])

    def keys(self) -> dict[str, Any]:
        """The arguments of diffusers' DDIMScheduler."""
        keys: dict[str, Any] = {
            "num_train_timesteps": self.num_train_steps,
            "prediction_type": self.prediction_type,
            "timestep_spacing": self.spacing,
            "steps_offset": self.offset,
            "set_alpha_to_one": self.alpha_to_one,
            "rescale_betas_zero_snr": self.zero_snr,
            "clip_sample": self.limit.startswith("clip"),
            "thresholding": self.limit.startswith("threshold"),
            # Low enough that it bites on a small image.
            "dynamic_thresholding_ratio": 0.8,
        }
        if self.limit.startswith("clip"):
            keys["clip_sample_range"] = self.limit_size
        if self.limit.startswith("threshold"):
            keys["sample_max_value"] = self.limit_size
        return keys | (
            {"trained_betas": list(_TRAINED_BETAS)} if self.betas == "trained" else {"beta_schedule": self.betas}
        )

    def is_valid(self) -> bool:
        """Whether the run stays within the training timesteps and never divides by ᾱ_T = 0."""
        if self.spacing == "leading" and self.offset and self.steps == "T":
            return False
        starts_at_last = {"leading": self.steps == "T", "linspace": self.steps != "1", "trailing": True}
        return not (self.zero_snr and self.prediction_type == "epsilon" and starts_at_last[self.spacing])


@functools.cache
def cases() -> list[Case]:
    """1,500 points of the full product, drawn with a fixed seed, less those that are not valid."""
    drawn = random.Random(0).sample(list(itertools.product(*AXES.values())), 1500)
    return [case for case in (Case(*values) for values in drawn) if case.is_valid()]


def pairs(case: Case) -> set[Pair]:
    """Every pair of (option, value) that stands in ``case``."""
    return set(itertools.combinations(dataclasses.asdict(case).items(), 2))


def all_pairs() -> set[Pair]:
    """Every pair of (option, value) that there can be."""
    choices = [[(name, value) for value in values] for name, values in AXES.items()]
    return {pair for one, other in itertools.combinations(choices, 2) for pair in itertools.product(one, other)}
