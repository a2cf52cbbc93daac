"""Whole runs beside diffusers' own loop, with a network that does not amplify rounding."""

from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler

from ddim_edge import DdimConfig, DdimSchedule

from . import gaussian
from .gaussian import Sample

_SHAPE = (2, 1, 8, 8)

_OPTIONS: list[tuple[dict[str, Any], int, float]] = [
    ({}, 1000, 1.0),
    ({"prediction_type": "v_prediction", "clip_sample": False}, 1000, 1.0),
    ({"beta_schedule": "scaled_linear", "set_alpha_to_one": False, "steps_offset": 1}, 50, 0.0),
    ({"prediction_type": "v_prediction", "timestep_spacing": "trailing", "rescale_betas_zero_snr": True}, 30, 0.3),
    ({"prediction_type": "sample", "timestep_spacing": "linspace", "beta_schedule": "squaredcos_cap_v2"}, 100, 0.3),
    ({"thresholding": True, "sample_max_value": 1.5}, 10, 1.0),
]


def their_run(theirs: DDIMScheduler, schedule: DdimSchedule, start: Sample, seed: int) -> Sample:
    """The loop as diffusers' pipelines write it, one generator for the noise."""
    sample, generator = torch.from_numpy(start), torch.Generator().manual_seed(seed)
    for timestep in theirs.timesteps:
        bar = float(schedule.alpha_bars[int(timestep)])
        answer = torch.from_numpy(gaussian.prediction(schedule.config.prediction_type, bar, sample.numpy()))
        sample = theirs.step(answer, timestep, sample, eta=schedule.config.eta, generator=generator).prev_sample
    result: Sample = sample.numpy()
    return result


@pytest.mark.parametrize(("options", "num_steps", "eta"), _OPTIONS)
def test_a_whole_run_ends_where_diffusers_loop_ends(options: dict[str, Any], num_steps: int, eta: float) -> None:
    theirs = DDIMScheduler(**options)
    theirs.set_timesteps(num_steps)
    schedule = DdimSchedule(DdimConfig.from_json(theirs.config).replace(eta=eta), num_steps)
    start = np.random.default_rng(0).standard_normal(_SHAPE, np.float32)
    noise = torch.Generator().manual_seed(3)
    ours = gaussian.run(schedule.config, num_steps, start, lambda: torch.randn(_SHAPE, generator=noise).numpy())
    # Their float32 table has 1-ᾱ_0 right to three digits only, which reaches the last steps' noise.
    np.testing.assert_allclose(ours, their_run(theirs, schedule, start, 3), rtol=0, atol=1e-4)
