"""DDPM's ancestral sampling (Ho, Jain, Abbeel 2020, https://arxiv.org/abs/2006.11239).

The posterior q(x_t' | x_t, x_0) with the predicted x_0, eq. 6 and 7, for any t' before t, with β = 1 - ᾱ_t/ᾱ_t'::

    x_t' = sqrt(ᾱ_t')·β/(1-ᾱ_t)·x_0(x_t) + sqrt(1-β)·(1-ᾱ_t')/(1-ᾱ_t)·x_t + σ·z,    z ~ N(0, I)

Small variance: σ² = (1-ᾱ_t')/(1-ᾱ_t)·β, the posterior's own. Large: σ² = β, which is σ̂ of DDIM's section 5. The last
step adds no noise.

Learned (Nichol & Dhariwal 2021, https://arxiv.org/abs/2102.09672): the network returns as many channels again, v.
``learned_range``, eq. 15, is between the small and the large variance for v in [-1, 1]; ``learned`` is σ² = v::

    log σ² = (v+1)/2·log β + (1-v)/2·log((1-ᾱ_t')/(1-ᾱ_t)·β)
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np

from ...arrays import Sample
from ...config import ClipConfig
from ...errors import PredictionError
from ..clipping import limit_of
from ..levels import Levels
from ..schedule import alpha_bars, final_alpha_bar, first_step, prediction_columns, select_timesteps
from .query import NoiseSource, Query, Sampler, required
from .weights import Weights, weight_rows, weighted_sum


@dataclass(frozen=True, kw_only=True)
class DdpmConfig(ClipConfig):
    """Options of DDPM's ancestral sampler (Ho, Jain, Abbeel 2020, https://arxiv.org/abs/2006.11239)."""

    name: ClassVar[str] = "ddpm"
    summary: ClassVar[str] = "fresh noise at every step; needs many steps (Ho et al. 2020)"
    scheduler_class: ClassVar[str] = "DDPMScheduler"

    large_variance: bool = False
    """Add noise of variance β_t (σ̂ in DDIM's table 1, ``fixed_large``) instead of the posterior's."""
    variance: Literal["fixed", "learned", "learned_range"] = "fixed"
    """Whether the network predicts the variance: as it is, or between the posterior's and β_t (Nichol & Dhariwal)."""

    @property
    def is_stochastic(self) -> bool:
        """True: a step adds fresh noise."""
        return True

    @property
    def takes_variance(self) -> bool:
        """Whether the network predicts the variance."""
        return self.variance != "fixed"

    @classmethod
    def fields_of(cls, keys: Mapping[str, Any]) -> dict[str, Any]:
        """As ``SamplerOptions.fields_of``: diffusers' one key ``variance_type`` is two fields."""
        fields, kind = super().fields_of(keys), keys.get("variance_type")
        return {**fields, "variance": kind} if kind in ("learned", "learned_range") else fields


class Row(NamedTuple):
    """One step: the weights of (x_t, prediction) in x_0, then those of (x_0, x_t, fresh noise) in x_t'.

    ``log_sigma``: log σ of the small and of the large variance. With a learned variance the noise's weight is 1 or 0.
    """

    x0: Weights
    next: Weights
    log_sigma: Weights


_LOWEST_VARIANCE = 1e-20
"""As in diffusers: a variance of 0 has no logarithm."""


class DdpmSchedule:
    """DDPM over ``num_steps`` timesteps, each leading to the next; see ``DdimSchedule`` for the attributes."""

    def __init__(self, config: DdpmConfig, num_steps: int, strength: float = 1.0) -> None:
        table = alpha_bars(config)
        self.timesteps = select_timesteps(config, num_steps)[first_step(num_steps, strength) :]
        now = table[self.timesteps]
        self.levels, then = Levels.preserving(now), np.append(now[1:], final_alpha_bar(config, table))
        self.config, self.limit = config, limit_of(config)
        beta = 1 - now / then
        small = (1 - then) / (1 - now) * beta
        sigma = np.ones_like(beta) if config.takes_variance else np.sqrt(beta if config.large_variance else small)
        sigma[-1] = 0.0
        mean_x0, mean_x = np.sqrt(then) * beta / (1 - now), np.sqrt(1 - beta) * (1 - then) / (1 - now)
        log_sigma = (np.log(np.maximum(variance, _LOWEST_VARIANCE)) / 2 for variance in (small, beta))
        columns = prediction_columns(config, self.levels)[:2], (mean_x0, mean_x, sigma), log_sigma
        self.rows = [Row(*row) for row in zip(*(weight_rows(*group) for group in columns), strict=True)]

    def sigma(self, row: Row, values: Sample) -> Sample:
        """σ of what the network predicts of the variance. Raises PredictionError for a negative variance."""
        if self.config.variance == "learned_range":
            small, large = row.log_sigma
            sigma: Sample = np.exp(small + (large - small) / 2 * (values + 1))
            return sigma
        if values.min() < 0:
            raise PredictionError(
                f"the network predicted a negative variance ({values.min():.3g}), and variance_type learned takes it "
                "as it is: if the model was trained with learned_range, say so in its scheduler file"
            )
        return np.sqrt(values)


def ddpm(schedule: DdpmSchedule, sample: Sample, noise: NoiseSource | None = None) -> Sampler:
    """Sample from x_T, float32 of any shape; ``noise`` is called once per step, except at the last.

    With a learned variance a prediction has twice the sample's channels, which are its second axis.
    """
    denoised: Sample | None = None
    for timestep, row in zip(schedule.timesteps.tolist(), schedule.rows, strict=True):
        prediction = yield Query(sample, timestep, denoised)
        variance = None
        if schedule.config.takes_variance:
            prediction, variance = _halves(prediction, sample)
        denoised = weighted_sum(row.x0, sample, prediction)
        if schedule.limit:
            denoised = schedule.limit(denoised)
        fresh = required(noise, "ddpm")() if row.next[-1] else None
        if fresh is not None and variance is not None:
            fresh = schedule.sigma(row, variance) * fresh
        sample = weighted_sum(row.next, denoised, sample, fresh)
    return sample


def _halves(prediction: Sample, sample: Sample) -> tuple[Sample, Sample]:
    """The prediction proper, and what is predicted of the variance. Raises PredictionError if there are no halves."""
    channels = sample.shape[1]
    if prediction.shape[1] != 2 * channels:
        raise PredictionError(
            f"a learned variance takes predictions of {2 * channels} channels, and the network's have "
            f"{prediction.shape[1]}: it predicts no variance. Take variance_type fixed_small"
        )
    return prediction[:, :channels], prediction[:, channels:]
