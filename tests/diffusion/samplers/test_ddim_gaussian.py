"""With a Gaussian data distribution the perfect network and the exact answer are known; DDIM must reach it."""

from typing import get_args

import numpy as np
import pytest

from ddim_edge import DdimConfig, DdimSchedule
from ddim_edge.config import BetasPrediction

from . import gaussian

PREDICTION_TYPES = get_args(BetasPrediction)

# The β of the usual 1,000 training steps cut 16 times finer, so that 400 steps are still few of them.
_TOTAL = 16_000
_DENSE = DdimConfig(num_train_steps=_TOTAL, beta_start=0.0001 / 16, beta_end=0.02 / 16, clip_denoised_sample=False)


def error_after(config: DdimConfig, num_steps: int) -> float:
    schedule = DdimSchedule(config, num_steps)
    start = np.random.default_rng(0).standard_normal((4, 1, 8, 8), np.float32)
    exact = gaussian.flow_end(float(schedule.alpha_bars[schedule.timesteps[0]]), start)
    return float(np.sqrt(np.mean((gaussian.run(config, num_steps, start) - exact) ** 2)))


@pytest.mark.parametrize("prediction_type", PREDICTION_TYPES)
def test_the_error_falls_as_one_over_the_number_of_steps(prediction_type: BetasPrediction) -> None:
    counts = [25, 50, 100, 200, 400]
    errors = [error_after(_DENSE.replace(prediction_type=prediction_type), count) for count in counts]
    order = -np.polyfit(np.log(counts), np.log(errors), 1)[0]
    assert order == pytest.approx(1, abs=0.1), errors
    assert errors[-1] < 0.01


def test_prediction_types_are_one_sampler() -> None:
    """The perfect ε, v and x_0 carry the same knowledge, so the results agree to float32 rounding."""
    start = np.random.default_rng(0).standard_normal((4, 1, 8, 8), np.float32)
    results = [gaussian.run(_DENSE.replace(prediction_type=kind), 50, start) for kind in PREDICTION_TYPES]
    np.testing.assert_allclose(results[1], results[0], rtol=0, atol=2e-5)
    np.testing.assert_allclose(results[2], results[0], rtol=0, atol=2e-5)


@pytest.mark.parametrize("prediction_type", PREDICTION_TYPES)
def test_eta_one_over_all_timesteps_samples_the_data_distribution(prediction_type: BetasPrediction) -> None:
    config = DdimConfig(eta=1.0, clip_denoised_sample=False, prediction_type=prediction_type)
    generator = np.random.default_rng(1)
    shape = (4_000, 1, 1, 1)
    result = gaussian.run(
        config,
        1000,
        generator.standard_normal(shape, np.float32),
        lambda: generator.standard_normal(shape, np.float32),
    ).astype(np.float64)
    mean, variance = ancestral_moments()
    # Five standard errors of a mean and of a variance.
    assert result.mean() == pytest.approx(mean, abs=5 * (variance / shape[0]) ** 0.5)
    assert result.var() == pytest.approx(variance, abs=5 * variance * (2 / shape[0]) ** 0.5)


def test_ancestral_sampling_with_a_thousand_steps_is_nearly_the_data_distribution() -> None:
    mean, variance = ancestral_moments()
    assert mean == pytest.approx(gaussian.MEAN, abs=0.01)
    assert variance == pytest.approx(gaussian.DEVIATION**2, rel=0.02)


def ancestral_moments() -> tuple[float, float]:
    """Mean and variance of DDPM's x_0 from N(0, 1), step by step through Ho et al. 2020, eq. 7, with E[x_0 | x_t]."""
    betas = np.linspace(0.0001, 0.02, 1000)
    bars = np.cumprod(1 - betas)
    mean, variance = 0.0, 1.0
    for t in reversed(range(1000)):
        bar, before = bars[t], bars[t - 1] if t else 1.0
        from_x0 = np.sqrt(before) * betas[t] / (1 - bar)
        from_x = np.sqrt(1 - betas[t]) * (1 - before) / (1 - bar)
        gain = np.sqrt(bar) * gaussian.DEVIATION**2 / gaussian.variance(bar)
        mean = from_x * mean + from_x0 * (gaussian.MEAN + gain * (mean - np.sqrt(bar) * gaussian.MEAN))
        variance = (from_x + from_x0 * gain) ** 2 * variance + (1 - before) / (1 - bar) * betas[t]
    return float(mean), float(variance)
