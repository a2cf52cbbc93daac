"""A network with the preconditioning inside, fed σ, makes what the same network makes with it outside."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ddim_edge.diffusion.guidance import guided_timesteps
from ddim_edge.diffusion.samplers import SamplerConfig, first_sample, sampler_config, schedule_of, start
from ddim_edge.errors import ConfigError

Array = NDArray[np.float32]
INSIDE = {"prediction_type": "sample", "timestep_type": "sigma"}
DATA, LOWEST = 0.5, 0.002


def network(x: Array, c_noise: float) -> Array:
    """F: any smooth function of both."""
    return np.asarray(np.tanh(x * 0.7 + c_noise * 0.01), np.float32)


def denoiser_of(config: Any, *, lowest: float) -> Callable[[Array, float], Array]:
    """D of eq. 7 in Karras et al. 2022, and f of a consistency model, which is the identity at ``lowest``."""

    def denoise(x: Array, sigma: float) -> Array:
        c_in, above = 1 / np.sqrt(sigma**2 + DATA**2), sigma - lowest
        c_skip, c_out = DATA**2 / (above**2 + DATA**2), above * DATA * c_in
        return np.asarray(c_skip * x + c_out * network(c_in * x, config.timestep_scale * np.log(sigma)), np.float32)

    return denoise


def sample(config: SamplerConfig, predict: Callable[[Array, float], Array], steps: int) -> Array:
    random = np.random.default_rng(0)
    noise = random.standard_normal((1, 3, 4), np.float32)
    sampler = start(
        config, steps, first_sample(config, steps, noise), lambda: random.standard_normal(noise.shape, np.float32)
    )
    query = next(sampler)
    while True:
        try:
            query = sampler.send(predict(query.sample, query.timestep))
        except StopIteration as end:
            return np.asarray(end.value)


@pytest.mark.parametrize("steps", [1, 7])
@pytest.mark.parametrize(
    ("name", "lowest"),
    [("EDMEulerScheduler", 0.0), ("EDMDPMSolverMultistepScheduler", 0.0), ("CMStochasticIterativeScheduler", LOWEST)],
)
def test_inside_and_outside_are_the_same(name: str, lowest: float, steps: int) -> None:
    outside, inside = sampler_config({"_class_name": name}), sampler_config({"_class_name": name, **INSIDE})
    expected = sample(outside, network, steps)
    got = sample(inside, denoiser_of(outside, lowest=lowest), steps)
    np.testing.assert_allclose(got, expected, atol=5e-6)


def test_a_denoiser_is_fed_the_noisy_sample_and_sigma_themselves() -> None:
    config = sampler_config({"_class_name": "CMStochasticIterativeScheduler", **INSIDE})
    noise = np.random.default_rng(0).standard_normal((2, 5), np.float32)
    query = next(start(config, 1, first_sample(config, 1, noise)))
    assert np.float32(query.timestep) == np.float32(80)
    np.testing.assert_array_equal(query.sample, noise * np.float32(80))
    assert sample(config, lambda x, _: np.full_like(x, 0.3), 1) == pytest.approx(0.3, abs=0)


def test_guidance_in_an_interval_is_an_interval_of_what_the_network_is_fed() -> None:
    config = sampler_config({"_class_name": "EDMEulerScheduler", "timestep_type": "sigma"})
    interval = guided_timesteps(config, (1.0, 10.0))
    assert interval is not None
    fed = schedule_of(config, 20).timesteps
    assert [sigma in interval for sigma in fed] == [1 < sigma <= 10 for sigma in fed]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"_class_name": "EDMEulerScheduler", "timestep_type": "time"}, "timestep_type"),
        ({"_class_name": "CMStochasticIterativeScheduler", "prediction_type": "v_prediction"}, "prediction_type"),
    ],
)
def test_other_values_are_refused(keys: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        sampler_config(keys)
