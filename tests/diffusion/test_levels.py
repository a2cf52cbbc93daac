"""Noise levels as pairs, and x_0 and ε from every prediction type."""

import numpy as np
import pytest

from ddim_edge.config import EdmConfig, SamplerOptions
from ddim_edge.diffusion.levels import CLEAN, Level, Levels
from ddim_edge.diffusion.samplers import DdimConfig, FlowEulerConfig
from ddim_edge.diffusion.schedule import prediction_columns

BARS = np.linspace(0.01, 0.99, 5)
SIGMAS = np.geomspace(80, 0.01, 5)


@pytest.mark.parametrize(
    ("config", "levels"),
    [
        (DdimConfig(), Levels.preserving(BARS)),
        (DdimConfig(prediction_type="sample"), Levels.preserving(BARS)),
        (DdimConfig(prediction_type="angular_velocity"), Levels.preserving(BARS)),
        (FlowEulerConfig(), Levels.flow(np.linspace(1, 0.1, 5))),
        (EdmConfig(sigma_data=0.5), Levels.of_sigmas(SIGMAS, 0.5)),
        (EdmConfig(sigma_data=1.0, prediction_type="angular_velocity"), Levels.of_sigmas(SIGMAS)),
    ],
)
def test_x_0_and_eps_come_back_from_sample_and_prediction(config: SamplerOptions, levels: Levels) -> None:
    x_0, eps = np.random.default_rng(0).standard_normal((2, len(levels)))
    sample = levels.signal * x_0 + levels.noise * eps
    data = getattr(config, "sigma_data", 1.0)
    variance = levels.sigmas**2 + data**2
    predicted = {
        "noise": eps,
        "sample": x_0,
        "angular_velocity": levels.signal * eps - levels.noise * x_0,
        "flow": eps - x_0,
        # F of eq. 7: x_0 = c_skip·x̃ + c_out·F with x̃ = x/signal.
        "edm": (x_0 - data**2 / variance * sample / levels.signal) / (levels.sigmas * data / np.sqrt(variance)),
    }
    x0_x, x0_p, eps_x, eps_p = prediction_columns(config, levels)
    prediction = predicted[config.prediction_type]
    np.testing.assert_allclose(x0_x * sample + x0_p * prediction, x_0, atol=1e-9)
    np.testing.assert_allclose(eps_x * sample + eps_p * prediction, eps, atol=1e-9)


def test_the_families_are_one_table() -> None:
    np.testing.assert_allclose(Levels.of_sigmas(SIGMAS).sigmas, SIGMAS)
    np.testing.assert_allclose(Levels.of_sigmas(SIGMAS, 0.5).sigmas, SIGMAS)
    preserving = Levels.of_sigmas(SIGMAS)
    np.testing.assert_allclose(Levels.preserving(preserving.alpha_bars).noise, preserving.noise, rtol=1e-9)
    np.testing.assert_allclose(preserving.half_log_snr, -np.log(SIGMAS), atol=1e-12)
    assert Levels.flow(np.array([1.0])).sigmas.tolist() == [np.inf]


def test_a_level_and_a_part_of_the_levels() -> None:
    levels = Levels.flow(np.array([0.75, 0.5])).ending(CLEAN)
    assert [*levels] == [Level(0.25, 0.75), Level(0.5, 0.5), Level(1.0, 0.0)]
    assert levels[-1] == CLEAN
    assert [*levels[1:]] == [*levels][1:]
    assert levels.half_log_snr[-1] == np.inf
