"""Every step of DdimSchedule beside diffusers' DDIMScheduler and beside the formulas in float64."""

import functools
import itertools
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler
from numpy.typing import NDArray

from ddim_edge import ConfigError, DdimConfig, DdimSchedule

from . import oracle
from .grid import AXES, Case, cases, pairs
from .rounding import UNIT, Floats, Rounded, exact

Sample = NDArray[np.float32]

_SHAPE = (2, 1, 4, 4)
_GROUPS = list(itertools.product(AXES["betas"], AXES["prediction_type"]))


def theirs_of(case: Case) -> DDIMScheduler:
    scheduler = DDIMScheduler(**case.keys())
    scheduler.set_timesteps(case.num_steps)
    return scheduler


def ours_of(case: Case, theirs: DDIMScheduler) -> DdimSchedule:
    config = DdimConfig.from_json(theirs.config).replace(eta=case.eta, rederive_noise=case.rederive)
    return DdimSchedule(config, case.num_steps)


@functools.lru_cache(maxsize=32)
def exact_alpha_bars(betas: str, zero_snr: bool) -> Floats:
    case = next(case for case in cases() if (case.betas, case.zero_snr) == (betas, zero_snr))
    return oracle.alpha_bars(case)


def expected_step(
    case: Case, theirs: DDIMScheduler, timestep: int, inputs: tuple[Sample, ...]
) -> tuple[Rounded, Rounded]:
    """The float64 step, and how far rounding ᾱ and every operation to float32 may lead from it."""
    table = exact_alpha_bars(case.betas, case.zero_snr)
    bars = exact(table, abs(theirs.alphas_cumprod.double().numpy() - table))
    before = timestep - case.num_train_steps // case.num_steps
    now = exact(bars.value[timestep], bars.error[timestep])
    then = exact(bars.value[max(before, 0)], bars.error[max(before, 0)])
    if before < 0 and case.alpha_to_one:
        then = exact(1)
    sample, prediction, noise = (array.astype(np.float64) for array in inputs)
    return oracle.step(case, now, then, sample, prediction, noise)


def their_step(
    case: Case, theirs: DDIMScheduler, timestep: int, inputs: tuple[Sample, ...]
) -> tuple[Sample, Sample]:
    sample, prediction, noise = map(torch.from_numpy, inputs)
    previous, denoised = theirs.step(
        prediction, timestep, sample, case.eta, case.rederive, variance_noise=noise, return_dict=False
    )
    return previous.numpy(), denoised.numpy()


def test_the_grid_is_large_and_holds_every_pair_of_options() -> None:
    drawn = cases()
    assert len(drawn) >= 1000
    seen = set().union(*map(pairs, drawn))
    full = set().union(*map(pairs, map(lambda values: Case(*values), itertools.product(*AXES.values()))))
    assert full == seen
