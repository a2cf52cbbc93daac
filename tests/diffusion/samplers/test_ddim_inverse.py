"""DDIM's inversion, which ``encode`` runs, beside diffusers' DDIMInverseScheduler."""

import diffusers
import numpy as np
import pytest
import torch

import ddim_edge
from ddim_edge.diffusion.samplers.ddim_inverse import InverseSchedule, ddim_inverse, invertible
from ddim_edge.diffusion.samplers.query import Sampler
from ddim_edge.diffusion.schedule import alpha_bars

from .beside_diffusers import SHAPE, Sample, network

TOLERANCE = 2e-5
"""float32."""


@pytest.mark.parametrize("betas", ["linear", "scaled_linear", "squaredcos_cap_v2"])
@pytest.mark.parametrize("num_steps", [4, 9])
@pytest.mark.parametrize("to_one", [True, False])
def test_every_sample_is_diffusers(betas: str, num_steps: int, to_one: bool) -> None:
    """Theirs clips x_0 unless told not to, and the paper does not; v and x_0 have no value at ᾱ = 1."""
    keys = {"beta_schedule": betas, "set_alpha_to_one": to_one, "clip_sample": False}
    config = ddim_edge.sampler_config({"_class_name": "DDIMInverseScheduler", **keys})
    assert isinstance(config, ddim_edge.DdimConfig)
    schedule = InverseSchedule(invertible(config), num_steps)
    theirs = diffusers.DDIMInverseScheduler(**keys)
    theirs.alphas_cumprod = torch.from_numpy(alpha_bars(config))
    theirs.initial_alpha_cumprod = torch.tensor(1.0) if to_one else theirs.alphas_cumprod[0]
    theirs.set_timesteps(num_steps)
    assert schedule.timesteps.tolist() == theirs.timesteps.tolist()
    start = np.random.default_rng(1).standard_normal(SHAPE, np.float32)
    sampler, sample = ddim_inverse(schedule, start), torch.from_numpy(start)
    samples = [next(sampler).sample]
    for timestep in theirs.timesteps.tolist():
        sample = theirs.step(torch.from_numpy(network(sample.numpy(), timestep)), timestep, sample).prev_sample
        samples.append(_sent(sampler, network(samples[-1], timestep)))
        scale = max(1.0, float(abs(sample).max()))
        assert abs(samples[-1] - sample.numpy()).max() <= TOLERANCE * scale


def _sent(sampler: Sampler, prediction: Sample) -> Sample:
    """The next sample, or the result."""
    try:
        return sampler.send(prediction).sample
    except StopIteration as end:
        return np.asarray(end.value)
