"""CFG++ (Chung et al. 2024, https://arxiv.org/abs/2406.08070): a step adds the unconditional noise again.

Classifier-free guidance extrapolates with w > 1, for x_0 and for the noise alike. CFG++ interpolates with λ from 0 to 1
for x_0, and leaves the noise unconditional (algorithm 2)::

    ε_λ  = ε_∅ + λ·(ε_c - ε_∅)
    x_0  = (x_t - sqrt(1-ᾱ_t)·ε_λ)/sqrt(ᾱ_t)
    x_t' = sqrt(ᾱ_t')·x_0 + sqrt(1-ᾱ_t')·ε_∅

A step that adds b·ε to a multiple of x_0, and perhaps fresh noise, has this form at any levels. ε is linear in the
network's prediction p, with the weight eps_p of ``prediction_columns``. So a sampler makes its own step with the guided
prediction p_λ, and b·eps_p·(p_∅ - p_λ) is added to the result. x_0 stays limited as the sampler limits it.

Where it is not limited, a step is one of classifier-free guidance with the scale λ·σ/(σ - σ'), for σ' the noise over
the signal behind the step: much guidance where steps are small, and λ in the last one.
"""

from collections.abc import Sequence

import numpy as np

from ...config import SamplerOptions
from ...errors import ConfigError
from ..clipping import limit_of
from ..schedule import prediction_columns
from .ddim import DdimSchedule
from .ddim_coefficients import DdimConfig
from .euler import EulerSchedule
from .query import Guided, Query, Sampler, Schedule

SAMPLERS = ("ddim", "euler", "euler-a", "flow-euler", "flow-euler-a", "edm-euler")
"""The samplers with such a step. Most others mix the noise of several predictions, or add fresh noise alone."""


def cfg_plus_plus(sampler: Sampler, weights: Sequence[float]) -> Sampler:
    """Run a sampler of ``SAMPLERS`` that is sent ``Guided``; where it is sent a prediction alone, its step stays.

    ``weights``: of p_∅ - p_λ in the sample after each call, from ``noise_weights``.
    """
    query = next(sampler)
    for weight in weights:
        answer = yield Query(*query)  # no StepQuery: a fused step returns no prediction
        prediction = answer.prediction if isinstance(answer, Guided) else answer
        try:
            query = sampler.send(prediction)
            sample = query.sample
        except StopIteration as end:
            sample = end.value
        if isinstance(answer, Guided) and weight:
            sample += np.float32(weight) * (answer.unconditional - prediction)
    return sample


def noise_weights(config: SamplerOptions, schedule: Schedule) -> list[float]:
    """b·eps_p of each step."""
    if isinstance(schedule, DdimSchedule):
        kept = [row.direction for row in schedule.rows]
    else:
        assert isinstance(schedule, EulerSchedule)
        kept = [row.next[0] * level.noise for row, level in zip(schedule.rows, schedule.levels, strict=True)]
    of_prediction = prediction_columns(config, schedule.levels)[3]
    weights: list[float] = (np.array(kept) * of_prediction).tolist()
    return weights


def check_sampler(config: SamplerOptions) -> None:
    """Raise ConfigError for a sampler, or an option of it, with which CFG++ has no meaning."""
    if config.name not in SAMPLERS:
        raise ConfigError(
            f"guidance_mode cfg++ works with {', '.join(SAMPLERS)}, and the sampler is {config.name}: take one "
            "of these, or guidance_mode cfg"
        )
    own_noise = isinstance(config, DdimConfig) and not config.rederive_noise
    if limit_of(config) is not None and not own_noise:
        raise ConfigError(
            f"guidance_mode cfg++ adds the noise of the unconditional prediction, and {config.name} takes it from the "
            "limited x_0 with these options: turn off rederive_noise, or dynamic thresholding"
        )
