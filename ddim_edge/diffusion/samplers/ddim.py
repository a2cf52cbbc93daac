"""DDIM (Song, Meng, Ermon 2020, https://arxiv.org/abs/2010.02502).

Eq. 12, with t' the timestep after t in the run and σ from eq. 16::

    x_t' = sqrt(ᾱ_t')·x_0(x_t) + sqrt(1-ᾱ_t'-σ²)·ε(x_t) + σ·z,    z ~ N(0, I)
    σ    = η·sqrt((1-ᾱ_t')/(1-ᾱ_t))·sqrt(1 - ᾱ_t/ᾱ_t')
"""

import numpy as np

from ...arrays import Sample
from ...errors import ConfigError
from ..clipping import limit_of
from ..levels import Levels
from ..schedule import alpha_bars, first_step, select_timesteps
from .ddim_coefficients import Coefficients, DdimConfig, coefficient_rows
from .query import LinearStep, NoiseSource, Query, Sampler, Stepped, StepQuery
from .weights import weighted_sum


class DdimSchedule:
    """DDIM over ``num_steps`` of the T training timesteps, as a table that is built once.

    With ``strength`` < 1 the table has only the last ``num_steps · strength`` steps, which change an image with added
    noise of the first of these timesteps.

    Attributes:
        config: the options that the table was built from.
        timesteps: int64 (S,), descending: the network's input at each step.
        alpha_bars: float64 (T,): ᾱ.
        levels: the noise level of the sample at each step, S of them.
        rows: the S rows of coefficients.

    Raises ConfigError if the options and the number of steps do not fit together.
    """

    def __init__(self, config: DdimConfig, num_steps: int, strength: float = 1.0) -> None:
        self.config, self.alpha_bars = config, alpha_bars(config)
        timesteps, first = select_timesteps(config, num_steps), first_step(num_steps, strength)
        self.rows = coefficient_rows(config, self.alpha_bars, timesteps)[first:]
        self.timesteps = timesteps[first:]
        self.levels = Levels.preserving(self.alpha_bars[self.timesteps])
        self._limit = limit_of(config)
        self._linear = [_linear_step(config, row) for row in self.rows]

    @property
    def num_steps(self) -> int:
        return len(self.rows)

    def is_stochastic(self, step: int) -> bool:
        """Whether ``step`` adds fresh noise; ``step()`` then requires ``noise``."""
        return self._row(step).sigma > 0

    def linear_step(self, step: int, noise: Sample | None) -> LinearStep | None:
        """The coefficients of ``step``; None if its noise is missing or x_0 is limited by dynamic thresholding."""
        linear = self._linear[step]
        if self.config.dynamic_threshold_ratio is not None or (linear.sigma > 0 and noise is None):
            return None
        return linear if noise is None else linear._replace(noise=noise)

    def step(self, step: int, sample: Sample, prediction: Sample, noise: Sample | None = None) -> tuple[Sample, Sample]:
        """One step of eq. 12: from x_t at position ``step`` to the next sample.

        ``sample``, ``prediction`` and ``noise`` are float32 of one shape (B, C, H, W); no argument is written to.
        Returns (next sample, denoised), both float32. ``noise`` is required where σ > 0.
        Raises ConfigError for a step that the run does not have, for a wrong shape and for missing noise.
        """
        row = self._row(step)
        if prediction.shape != sample.shape:
            raise ConfigError(f"the prediction's shape {prediction.shape} is not the sample's, {sample.shape}")
        if row.sigma > 0:
            self._check_noise(step, sample, noise)
        denoised = weighted_sum((row.x0_x, row.x0_p), sample, prediction)
        if self._limit:
            denoised = self._limit(denoised)
        weights = row.next_x, row.next_p, row.next_x0, row.sigma
        return weighted_sum(weights, sample, prediction, denoised, noise), denoised

    def _row(self, step: int) -> Coefficients:
        count = len(self.rows)
        if not 0 <= step < count:
            raise ConfigError(f"the run has no step {step}: its {count} steps are 0 to {count - 1}")
        return self.rows[step]

    def _check_noise(self, step: int, sample: Sample, noise: Sample | None) -> None:
        if noise is None:
            sigma = self.rows[step].sigma
            raise ConfigError(f"step {step} has sigma {sigma:.4g} (eta {self.config.eta:g}): pass noise")
        if noise.shape != sample.shape:
            raise ConfigError(f"the noise's shape {noise.shape} is not the sample's, {sample.shape}")


def ddim(schedule: DdimSchedule, sample: Sample, noise: NoiseSource | None = None) -> Sampler:
    """Sample from x_T, float32 of any shape; ``noise`` is called once a step where σ > 0, and required there.

    Where a step is linear except for clipping, the query is a ``StepQuery``: the network's graph may compute the step.
    """
    denoised = None
    for step, timestep in enumerate(schedule.timesteps.tolist()):
        fresh = noise() if noise is not None and schedule.is_stochastic(step) else None
        query, linear = Query(sample, timestep, denoised), schedule.linear_step(step, fresh)
        response = yield query if linear is None else StepQuery.with_step(query, linear)
        if isinstance(response, Stepped):
            sample, denoised = response
        else:
            sample, denoised = schedule.step(step, np.asarray(sample), response, fresh)
    return np.asarray(sample)


def _linear_step(config: DdimConfig, row: Coefficients) -> LinearStep:
    limit = config.clip_range if config.clip_denoised_sample else np.inf
    return LinearStep(row.x0_x, row.x0_p, row.next_x, row.next_p, row.next_x0, row.sigma, limit, None)
