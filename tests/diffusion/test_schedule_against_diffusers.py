"""Every step of DdimSchedule beside diffusers' DDIMScheduler and beside the formulas in float64."""

import functools
import itertools

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler
from numpy.typing import NDArray

from ddim_edge import ConfigError, DdimConfig, DdimSchedule
from ddim_edge.config import TimestepSpacing
from ddim_edge.diffusion.schedule import select_timesteps

from . import oracle
from .grid import AXES, Case, all_pairs, cases, pairs
from .rounding import UNIT, Floats, Rounded, exact

Sample = NDArray[np.float32]
Pair = tuple[Rounded, Rounded]

_SHAPE = (2, 1, 4, 4)
_GROUPS = list(itertools.product(AXES["betas"], AXES["prediction_type"]))


def _cases_of(betas: str, prediction_type: str) -> list[Case]:
    return [case for case in cases() if (case.betas, case.prediction_type) == (betas, prediction_type)]


def random_inputs(seed: int) -> tuple[Sample, Sample, Sample]:
    """A sample, a prediction and noise."""
    sample, prediction, noise = np.random.default_rng(seed).standard_normal((3, *_SHAPE), np.float32)
    return sample, prediction, noise


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


def expected_step(case: Case, theirs: DDIMScheduler, timestep: int, inputs: tuple[Sample, ...]) -> Pair:
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


def their_step(case: Case, theirs: DDIMScheduler, timestep: int, inputs: tuple[Sample, ...]) -> tuple[Sample, Sample]:
    sample, prediction, noise = map(torch.from_numpy, inputs)
    previous, denoised = theirs.step(
        prediction, timestep, sample, case.eta, case.rederive, variance_noise=noise, return_dict=False
    )
    return previous.numpy(), denoised.numpy()


def test_the_grid_is_large_and_holds_every_pair_of_options() -> None:
    drawn = cases()
    assert len(drawn) >= 1000
    assert set().union(*map(pairs, drawn)) == all_pairs()


@pytest.mark.parametrize(("betas", "prediction_type"), _GROUPS)
def test_every_step_is_the_formula_and_diffusers_step(betas: str, prediction_type: str) -> None:
    for case in _cases_of(betas, prediction_type):
        theirs = theirs_of(case)
        ours = ours_of(case, theirs)
        assert ours.timesteps.tolist() == theirs.timesteps.tolist(), case
        for step in sorted({0, case.num_steps // 2, case.num_steps - 1}):
            inputs = random_inputs(step)
            timestep = int(ours.timesteps[step])
            expected = expected_step(case, theirs, timestep, inputs)
            compare(
                f"{case} at {timestep}", expected, ours.step(step, *inputs), their_step(case, theirs, timestep, inputs)
            )


def compare(where: str, expected: Pair, ours: tuple[Sample, Sample], theirs: tuple[Sample, Sample]) -> None:
    """Ours and theirs lie within rounding of the formula, element by element, and ours within 2e-5 of its largest."""
    for exactly, our, their in zip(expected, ours, theirs, strict=True):
        assert our.dtype == np.float32, where
        off = abs(our - exactly.value)
        assert off.max() <= 2e-5 * abs(exactly.value).max(), where
        assert np.all(off <= exactly.error), where
        # Theirs is NaN where 1-ᾱ'-σ² is 0 and rounds to less; test_where_diffusers_is_nan has the case.
        assert np.all((abs(their - exactly.value) <= exactly.error) | np.isnan(their)), where


@pytest.mark.parametrize("betas", AXES["betas"])
@pytest.mark.parametrize("zero_snr", [False, True])
def test_alpha_bars_are_the_product_and_diffusers_table(betas: str, zero_snr: bool) -> None:
    case = next(case for case in cases() if (case.betas, case.zero_snr) == (betas, zero_snr))
    theirs = theirs_of(case)
    table = ours_of(case, theirs).alpha_bars
    np.testing.assert_allclose(table, exact_alpha_bars(betas, zero_snr), rtol=1e-11, atol=1e-16)
    np.testing.assert_array_less(abs(theirs.alphas_cumprod.double().numpy() - table), rounding_of(table, zero_snr))


def rounding_of(table: Floats, zero_snr: bool) -> Floats:
    """What float32 may do to a cumulative product: each factor 1-β is off by a unit of 1, not of itself."""
    factors = np.append(table[0], table[1:] / np.maximum(table[:-1], 1e-300))
    relative = np.cumsum(UNIT / np.maximum(factors, UNIT))
    if not zero_snr:
        return relative * table
    # sqrt(ᾱ) - sqrt(ᾱ_T) is off by a unit of 1 as well before it is squared; then the betas and the product again.
    bound: Floats = relative * table + 4 * UNIT * np.sqrt(table) * len(table) ** 0.5 + UNIT
    return bound


def test_the_bound_is_tight_enough_to_see_a_wrong_formula() -> None:
    """Swapping two neighbouring steps' rows moves the result far outside the bound, nearly always."""
    missed, seen = 0, 0
    for case in [case for case in cases() if case.num_steps > 1][::8]:
        theirs = theirs_of(case)
        ours = ours_of(case, theirs)
        inputs = random_inputs(0)
        expected, _ = expected_step(case, theirs, int(ours.timesteps[1]), inputs)
        wrong, _ = ours.step(0, *inputs)
        seen += 1
        missed += bool(np.all(abs(wrong - expected.value) <= expected.error))
    assert seen > 100
    assert missed <= 0.02 * seen


def test_where_diffusers_may_be_nan() -> None:
    """With eta 1 and ᾱ = 0, eq. 12 leaves nothing for ε: 1-ᾱ'-σ² is 0. In float32, on some processors, it is less.

    Ours is x_0 and noise, and so is theirs where it is a number.
    """
    theirs = DDIMScheduler(
        rescale_betas_zero_snr=True, timestep_spacing="trailing", prediction_type="v_prediction", clip_sample=False
    )
    theirs.set_timesteps(10)
    schedule = DdimSchedule(DdimConfig.from_json(theirs.config).replace(eta=1.0), 10)
    sample, prediction, noise = random_inputs(0)
    theirs_previous, _ = theirs.step(
        torch.from_numpy(prediction),
        999,
        torch.from_numpy(sample),
        1.0,
        variance_noise=torch.from_numpy(noise),
        return_dict=False,
    )
    previous, denoised = schedule.step(0, sample, prediction, noise)
    if not torch.isnan(theirs_previous).all():
        np.testing.assert_allclose(previous, theirs_previous.numpy(), atol=1e-3)
    bar = schedule.alpha_bars[899]
    np.testing.assert_allclose(previous, np.sqrt(bar) * denoised + np.sqrt(1 - bar) * noise, rtol=1e-5, atol=1e-6)


def test_leading_with_an_offset_and_all_steps_is_refused_where_diffusers_breaks() -> None:
    theirs = DDIMScheduler(steps_offset=1)
    theirs.set_timesteps(1000)
    sample, prediction, _ = map(torch.from_numpy, random_inputs(0))
    with pytest.raises(IndexError):
        theirs.step(prediction, int(theirs.timesteps[0]), sample)
    with pytest.raises(ConfigError, match=r"timesteps_offset 1 with 1000 steps reaches timestep 1000.*take fewer"):
        DdimSchedule(DdimConfig.from_json(theirs.config), 1000)


@pytest.mark.parametrize("spacing", AXES["spacing"])
def test_every_number_of_steps_gives_diffusers_timesteps(spacing: TimestepSpacing) -> None:
    """For 62 values of S below 1000 diffusers' ``trailing`` list, cut by arange, ends in one timestep too many, -1."""
    theirs, config = DDIMScheduler(timestep_spacing=spacing), DdimConfig(timestep_spacing=spacing)
    too_long = []
    for num_steps in range(1, 1001):
        theirs.set_timesteps(num_steps)
        ours, listed = select_timesteps(config, num_steps).tolist(), theirs.timesteps.tolist()
        if len(listed) > num_steps:
            assert listed.pop() == -1
            too_long.append(num_steps)
        assert ours == listed
    assert len(too_long) == (62 if spacing == "trailing" else 0)
