"""The slope of the probability-flow ODE, dy/dτ = (y - x_0)/τ, for solvers in σ and in t.

y = x/scale and τ = noise/scale. For betas and EDM the scale is the signal, y is x̃, and τ is σ (Karras et al. 2022,
https://arxiv.org/abs/2206.00364, eq. 3); for flow matching the scale is 1, y is x, and τ is t.
"""

import numpy as np

from ...arrays import Floats
from ...config import FlowConfig, SamplerOptions
from ..clipping import limit_of
from ..levels import Levels
from ..schedule import prediction_columns
from .weights import Weights, weight_rows


def scales(config: SamplerOptions, levels: Levels) -> Floats:
    """By what x is divided to get y, float64 (S,)."""
    return np.ones(len(levels)) if isinstance(config, FlowConfig) else levels.signal


def slope_rows(config: SamplerOptions, levels: Levels) -> list[Weights]:
    """The weights of (x, prediction, x_0) in the slope at each level.

    Where x_0 is limited, the slope is that to the limited x_0. Where it is not, it is made of the prediction: near
    τ = 0 the difference y - x_0 has few digits.
    """
    scale = scales(config, levels)
    tau = levels.noise / scale
    if limit_of(config):
        return weight_rows(1 / levels.noise, 0 * tau, -1 / tau)
    x0_x, x0_p, _, _ = prediction_columns(config, levels)
    return weight_rows((1 / scale - x0_x) / tau, -x0_p / tau, 0 * tau)
