"""The one data distribution whose perfect network can be written down: x_0 ~ N(MEAN, DEVIATION² I)."""

import numpy as np
from numpy.typing import NDArray

from ddim_edge import SamplerConfig, start
from ddim_edge.config import PredictionType
from ddim_edge.diffusion.levels import CLEAN, Level, Levels
from ddim_edge.diffusion.samplers import NoiseSource, schedule_of
from ddim_edge.diffusion.schedule import prediction_columns

Sample = NDArray[np.float32]

MEAN, DEVIATION = 0.3, 0.5


def variance(bar: float) -> float:
    """Var x_t = ᾱ s² + 1-ᾱ."""
    return bar * DEVIATION**2 + 1 - bar


def prediction(kind: PredictionType, bar: float, sample: Sample) -> Sample:
    """What a perfect network of this prediction type returns: E[ε | x_t], E[v | x_t] or E[x_0 | x_t]."""
    wide = sample.astype(np.float64)
    x_0 = MEAN + np.sqrt(bar) * DEVIATION**2 / variance(bar) * (wide - np.sqrt(bar) * MEAN)
    eps = np.sqrt(1 - bar) / variance(bar) * (wide - np.sqrt(bar) * MEAN)
    velocity = np.sqrt(bar) * eps - np.sqrt(1 - bar) * x_0
    values: dict[PredictionType, NDArray[np.float64]] = {"sample": x_0, "noise": eps, "angular_velocity": velocity}
    answer: Sample = values[kind].astype(sample.dtype)
    return answer


def flow_end(bar: float, sample: Sample) -> NDArray[np.float64]:
    """Where the probability-flow ODE carries x_t at time 0: it keeps (x_t - sqrt(ᾱ_t) m)/sqrt(Var x_t)."""
    end: NDArray[np.float64] = MEAN + DEVIATION * (sample - np.sqrt(bar) * MEAN) / np.sqrt(variance(bar))
    return end


def flow(bar: float, end: float, sample: Sample) -> NDArray[np.float64]:
    """Where the flow carries x_t, from ᾱ = ``bar`` to ᾱ = ``end``."""
    place = (sample - np.sqrt(bar) * MEAN) / np.sqrt(variance(bar))
    arrived: NDArray[np.float64] = np.sqrt(end) * MEAN + np.sqrt(variance(end)) * place
    return arrived


def run(config: SamplerConfig, num_steps: int, sample: Sample, noise: NoiseSource | None = None) -> Sample:
    """Sample with the perfect network, whatever the sampler."""
    sampler = start(config, num_steps, sample, noise)
    query = next(sampler)
    for bar in schedule_of(config, num_steps).levels.alpha_bars.tolist():
        try:
            query = sampler.send(prediction(config.prediction_type, bar, query.sample))
        except StopIteration as stop:
            result: Sample = stop.value
            return result
    raise AssertionError("the sampler asks more often than its schedule says")


def perfect(config: SamplerConfig, level: Level, sample: Sample) -> Sample:
    """What a perfect network returns at a level of any family, from E[x_0 | x]."""
    x_0 = MEAN + level.signal * DEVIATION**2 / _variance(level) * (sample - level.signal * MEAN)
    columns = prediction_columns(config, Levels(np.array([level.signal]), np.array([level.noise])))
    of_x, of_p = (float(column[0]) for column in columns[:2])
    answer: Sample = ((x_0 - of_x * sample) / of_p).astype(sample.dtype)
    return answer


def exact_end(level: Level, sample: Sample, end: Level = CLEAN) -> NDArray[np.float64]:
    """Where the probability-flow ODE carries a sample from ``level`` of any family to ``end``."""
    place = (sample - level.signal * MEAN) / np.sqrt(_variance(level))
    arrived: NDArray[np.float64] = end.signal * MEAN + np.sqrt(_variance(end)) * place
    return arrived


def run_perfect(config: SamplerConfig, num_steps: int, sample: Sample, strength: float = 1.0) -> Sample:
    """Sample with the perfect network, at levels of any family."""
    sampler = start(config, num_steps, sample, strength=strength)
    query = next(sampler)
    for level in schedule_of(config, num_steps, strength).levels:
        try:
            query = sampler.send(perfect(config, level, query.sample))
        except StopIteration as stop:
            result: Sample = stop.value
            return result
    raise AssertionError("the sampler asks more often than its schedule says")


def _variance(level: Level) -> float:
    return level.signal**2 * DEVIATION**2 + level.noise**2
