"""What holds for every configuration: variances add up, SNR rises, timesteps descend, eta 1 is DDPM."""

import itertools
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ddim_edge import ConfigError, DdimConfig, DdimSchedule
from ddim_edge.config import AlphaClipStrategy, BetaSchedule, BetasPrediction, TimestepSpacing, Transition
from ddim_edge.diffusion.schedule import select_timesteps

SPACINGS = get_args(TimestepSpacing)


@st.composite
def schedules(draw: st.DrawFn, /, **fixed: Any) -> DdimSchedule:
    """A schedule of any valid configuration, with up to 400 training timesteps."""
    total = draw(st.integers(2, 400))
    options: dict[str, Any] = {
        "num_train_steps": total,
        "beta_schedule": draw(st.sampled_from(get_args(BetaSchedule))),
        "beta_start": draw(st.floats(1e-5, 1e-2)),
        "beta_end": draw(st.floats(1e-2, 0.1)),
        "trained_betas": draw(st.none() | st.lists(st.floats(1e-4, 0.1), min_size=total, max_size=total)),
        "prediction_type": draw(st.sampled_from(get_args(BetasPrediction))),
        "alpha_clip_strategy": draw(st.sampled_from(get_args(AlphaClipStrategy))),
        "timesteps_offset": draw(st.integers(0, 1)),
        "timestep_spacing": draw(st.sampled_from(SPACINGS)),
        "transition": draw(st.sampled_from(get_args(Transition))),
        "zero_terminal_snr": draw(st.booleans()),
        "eta": draw(st.floats(0, 1)),
    }
    try:
        return DdimSchedule(DdimConfig(**options | fixed), draw(st.integers(1, total)))
    except ConfigError as error:
        assume("timesteps_offset" not in str(error) and "zero_terminal_snr" not in str(error))
        raise


@given(schedules())
def test_the_variances_of_every_row_add_up_to_one(schedule: DdimSchedule) -> None:
    for row in schedule.rows:
        assert row.signal**2 + row.direction**2 + row.sigma**2 == pytest.approx(1, abs=1e-12)
        assert min(row.signal, row.direction, row.sigma) >= 0


@given(schedules())
def test_the_coefficients_invert_the_forward_process(schedule: DdimSchedule) -> None:
    """From x_t = sqrt(ᾱ)·x_0 + sqrt(1-ᾱ)·ε and a perfect prediction, a row gives x_0 and ε back."""
    x_0, eps = 0.7, -1.3
    for row, bar in zip(schedule.rows, schedule.alpha_bars[schedule.timesteps].tolist(), strict=True):
        alpha, sigma = bar**0.5, (1 - bar) ** 0.5
        perfect = {"noise": eps, "sample": x_0, "angular_velocity": alpha * eps - sigma * x_0}
        sample, prediction = alpha * x_0 + sigma * eps, perfect[schedule.config.prediction_type]
        condition = 1e-12 / max(min(alpha, sigma), 1e-8)
        if schedule.config.prediction_type == "noise":
            assert row.x0_x * sample + row.x0_p * prediction == pytest.approx(x_0, abs=condition)
        else:
            assert row.x0_x * sample + row.x0_p * prediction == pytest.approx(x_0, abs=1e-12)
        assert row.eps_x * sample + row.eps_p * prediction == pytest.approx(eps, abs=condition)
        assert row.redo_x * sample + row.redo_x0 * x_0 == pytest.approx(eps, abs=condition)


@given(schedules())
def test_the_signal_to_noise_ratio_falls_with_time(schedule: DdimSchedule) -> None:
    assert np.all(np.diff(schedule.alpha_bars) < 0)
    assert 0 <= schedule.alpha_bars[-1] < schedule.alpha_bars[0] < 1
    assert (schedule.alpha_bars[-1] == 0) == schedule.config.zero_terminal_snr
    snr = [row.signal / np.sqrt(1 - row.signal**2) if row.signal < 1 else np.inf for row in schedule.rows]
    assert all(one <= other for one, other in itertools.pairwise(snr))


@given(schedules(eta=0.0))
def test_without_eta_no_step_is_stochastic(schedule: DdimSchedule) -> None:
    assert not any(schedule.is_stochastic(step) for step in range(schedule.num_steps))


@pytest.mark.parametrize("spacing", SPACINGS)
def test_every_number_of_steps_descends_within_the_training_timesteps(spacing: TimestepSpacing) -> None:
    config = DdimConfig(timestep_spacing=spacing)
    for num_steps in range(1, 1001):
        _check_timesteps(config, num_steps)


@given(st.integers(1, 3000).flatmap(lambda total: st.tuples(st.just(total), st.integers(1, total))))
def test_timesteps_descend_for_any_number_of_training_steps(sizes: tuple[int, int]) -> None:
    for spacing in SPACINGS:
        _check_timesteps(DdimConfig(num_train_steps=sizes[0], timestep_spacing=spacing), sizes[1])


def _check_timesteps(config: DdimConfig, num_steps: int) -> None:
    timesteps = select_timesteps(config, num_steps)
    assert timesteps.dtype == np.int64
    assert timesteps.shape == (num_steps,)
    assert np.all(np.diff(timesteps) < 0), num_steps
    assert 0 <= timesteps[-1] <= timesteps[0] < config.num_train_steps, num_steps


@given(schedules(timestep_spacing="leading", timesteps_offset=0))
def test_fixed_gap_and_next_agree_for_leading(schedule: DdimSchedule) -> None:
    other = {"fixed_gap": "next", "next": "fixed_gap"}[schedule.config.transition]
    assert DdimSchedule(schedule.config.replace(transition=other), schedule.num_steps).rows == schedule.rows


@given(schedules(transition="next"))
def test_next_leads_to_the_level_of_the_following_row(schedule: DdimSchedule) -> None:
    bars = schedule.alpha_bars[schedule.timesteps[1:]]
    np.testing.assert_allclose([row.signal**2 for row in schedule.rows[:-1]], bars, rtol=1e-12)


@pytest.mark.parametrize("num_steps", [2, 7, 10, 30, 50, 100])
def test_quadratic_runs_from_the_last_timestep_to_the_first_with_growing_gaps(num_steps: int) -> None:
    timesteps = select_timesteps(DdimConfig(timestep_spacing="quadratic"), num_steps)[::-1]
    assert (timesteps[0], timesteps[-1]) == (0, 999)
    gaps = np.diff(timesteps)
    # Whole numbers: a gap may fall short of the one before by one.
    assert np.all(np.diff(gaps) >= -1)
    parabola = 999 * (np.arange(num_steps) / max(num_steps - 1, 1)) ** 2
    crowded = int(np.sum(np.diff(np.floor(parabola)) < 1))
    assert np.all(abs(timesteps - parabola) <= 1 + crowded)


def test_quadratic_has_no_fixed_gap() -> None:
    config = DdimConfig(timestep_spacing="quadratic", eta=1.0)
    assert DdimSchedule(config, 20).rows == DdimSchedule(config.replace(transition="next"), 20).rows


@pytest.mark.parametrize("beta_schedule", get_args(BetaSchedule))
def test_eta_one_over_all_timesteps_is_the_posterior_of_ddpm(beta_schedule: BetaSchedule) -> None:
    """Ho et al. 2020, eq. 7: q(x_{t-1} | x_t, x_0) has mean μ̃_t(x_t, x_0) and variance β̃_t."""
    schedule = DdimSchedule(DdimConfig(beta_schedule=beta_schedule, eta=1.0), 1000)
    bar = schedule.alpha_bars[::-1]
    before = np.append(bar[1:], 1.0)
    alpha = bar / before
    mean_x0 = np.sqrt(before) * (1 - alpha) / (1 - bar)
    mean_x = np.sqrt(alpha) * (1 - before) / (1 - bar)
    variance = (1 - before) / (1 - bar) * (1 - alpha)
    rows = schedule.rows
    np.testing.assert_allclose([row.sigma**2 for row in rows], variance, rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose([row.direction * row.redo_x for row in rows], mean_x, rtol=1e-9, atol=1e-7)
    np.testing.assert_allclose(
        [row.signal + row.direction * row.redo_x0 for row in rows], mean_x0, rtol=1e-9, atol=1e-12
    )
