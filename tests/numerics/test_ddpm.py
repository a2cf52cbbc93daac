"""A DDPMScheduler file gives DDPM's ancestral sampling, step by step what diffusers' class computes."""

import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler

import ddim_edge


@pytest.mark.parametrize("variance_type", ["fixed_small", "fixed_small_log", "fixed_large"])
@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize("num_steps", [10, 1000])
def test_every_step_is_diffusers_step(variance_type: str, prediction_type: str, num_steps: int) -> None:
    theirs = DDPMScheduler(variance_type=variance_type, prediction_type=prediction_type)
    theirs.set_timesteps(num_steps)
    config = ddim_edge.sampler_config({**theirs.config, "_class_name": "DDPMScheduler"})
    schedule = ddim_edge.DdimSchedule(config, num_steps)
    # Theirs in float32 has 1-ᾱ_0 right to three digits only; the formulas are what is compared here.
    theirs.alphas_cumprod = torch.from_numpy(schedule.alpha_bars)
    assert schedule.timesteps.tolist() == theirs.timesteps.tolist()
    for step in (0, num_steps // 2, num_steps - 2, num_steps - 1):
        sample, prediction = np.random.default_rng(step).standard_normal((2, 2, 1, 8, 8), np.float32)
        timestep = int(schedule.timesteps[step])
        noise = torch.randn(sample.shape, generator=torch.Generator().manual_seed(step)).numpy()
        expected = theirs.step(
            torch.from_numpy(prediction),
            timestep,
            torch.from_numpy(sample),
            generator=torch.Generator().manual_seed(step),
        )
        previous, denoised = schedule.step(step, sample, prediction, noise)
        np.testing.assert_allclose(denoised, expected.pred_original_sample.numpy(), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(previous, expected.prev_sample.numpy(), rtol=1e-4, atol=2e-5)


def test_a_learned_variance_is_refused() -> None:
    with pytest.raises(ddim_edge.ConfigError, match="variance_type 'learned_range' is unknown"):
        ddim_edge.sampler_config({"_class_name": "DDPMScheduler", "variance_type": "learned_range"})


def test_noise_that_would_be_shared_across_the_batch_is_refused() -> None:
    schedule = ddim_edge.DdimSchedule(ddim_edge.DdimConfig(eta=1.0), 10)
    sample = np.zeros((2, 1, 4, 4), np.float32)
    with pytest.raises(ddim_edge.ConfigError, match="noise's shape"):
        schedule.step(0, sample, sample, sample[:1])
