"""What a network of σ-space is fed: preconditioned here, as EDM's F, or by itself, as a denoiser D.

F is fed c_in·x̃ and ¼·log σ, of x̃ = x_0 + σ·ε, and x_0 = c_skip·x̃ + c_out·F (Karras et al. 2022, eq. 7). D(x̃; σ) has
all of this inside and returns x_0; its graph is often fed σ itself.
"""

import numpy as np

from ..arrays import Floats
from ..config import PreconditionedConfig
from .levels import Levels


def network_times(config: PreconditionedConfig, sigmas: Floats) -> Floats:
    """The network's timesteps at ``sigmas``, rising with them."""
    return sigmas if config.timestep_type == "sigma" else np.log(sigmas) * config.timestep_scale


def network_levels(config: PreconditionedConfig, sigmas: Floats) -> Levels:
    """The levels of the network's samples at ``sigmas``: c_in·x̃, or x̃ for a network that returns x_0."""
    if config.prediction_type == "sample":
        return Levels(np.ones_like(sigmas), sigmas)
    return Levels.of_sigmas(sigmas, config.sigma_data)
