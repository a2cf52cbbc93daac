"""Extreme options: every sampler refuses them with a ConfigError, or makes a table of finite numbers."""

import dataclasses
import math
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ddim_edge import ConfigError, start
from ddim_edge.diffusion.samplers import SAMPLERS, samplers_for, schedule_of

EXTREME = (0, 1, -1, 5e-324, 1e-300, 1e-17, 1e-9, 1e-6, 1e-5, 0.9999, 1 - 1e-16, 1000, 1e5, 1e6, 1e17, 1e300, 10**400)
"""Numbers at the ends of float64, and at the bounds of the options."""
NUMBERS = st.sampled_from((*EXTREME, math.inf, math.nan)) | st.floats(1e-9, 1e6) | st.floats() | st.integers()
LISTS = {"trained_betas": st.lists(st.sampled_from((1e-17, 1e-9, 1e-4, 0.5, 0.9999)), min_size=1, max_size=8)}


@st.composite
def options(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A sampler with some of its options: any choice of the named ones, up to two extreme numbers."""
    name = draw(st.sampled_from(sorted(SAMPLERS)))
    fields = dataclasses.fields(SAMPLERS[name])
    named = {field.name: _choices(field) for field in fields if _choices(field)}
    numbers = [field.name for field in fields if not _choices(field)]
    chosen = draw(st.lists(st.sampled_from(sorted(named)), unique=True))
    extreme = draw(st.lists(st.sampled_from(sorted(numbers)), unique=True, max_size=2))
    values = {option: draw(st.sampled_from(named[option])) for option in chosen}
    values |= {option: draw(LISTS.get(option, NUMBERS)) for option in extreme}
    if "trained_betas" in values:
        values["num_train_steps"] = len(values["trained_betas"])
    return name, values


def _choices(field: dataclasses.Field[Any]) -> tuple[Any, ...]:
    return (False, True) if field.type is bool else tuple(c for c in get_args(field.type) if isinstance(c, str))


@settings(max_examples=400)
@given(options(), st.integers(1, 12), st.sampled_from((1.0, 0.5, 0.01)))
@pytest.mark.filterwarnings("error")
def test_any_options_are_refused_or_give_finite_samples(
    chosen: tuple[str, dict[str, Any]], num_steps: int, strength: float
) -> None:
    name, values = chosen
    try:
        config = SAMPLERS[name](**values)
        schedule = schedule_of(config, num_steps, strength)
    except ConfigError:
        return
    assert np.isfinite([*schedule.levels]).all()
    assert all(np.isfinite(row).all() for row in _rows(schedule))
    sampler = start(
        config, num_steps, np.zeros((1, 1, 2, 2), np.float32), lambda: np.zeros((1, 1, 2, 2), np.float32), strength
    )
    assert np.isfinite(_finished(sampler, channels=2 if config.takes_variance else 1)).all()


def _rows(schedule: Any) -> list[Any]:
    """The rows of coefficients of any schedule."""
    names = ("rows", "calls", "predictors", "correctors", "from_prediction")
    return [np.hstack(row) for name in names for row in getattr(schedule, name, ())]


def _finished(sampler: Any, channels: int) -> Any:
    next(sampler)
    try:
        while True:
            sampler.send(np.zeros((1, channels, 2, 2), np.float32))
    except StopIteration as end:
        return end.value


@pytest.mark.parametrize("name", ["euler", "dpmpp-2m", "unipc"])
@pytest.mark.parametrize(
    ("levels", "message"),
    [
        ({"sigma_min": 1e-300}, r"sigma_min must be a number from 1e-05 to 100000, not 1e-300"),
        ({"sigma_max": 1e300}, r"sigma_max must be a number from 1e-05 to 100000, not 1e\+300"),
        ({"sigma_min": 1e5}, "must be lower; the one that is not set is the noise schedule's: set both"),
    ],
)
def test_levels_that_no_sample_can_stand_at(name: str, levels: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        schedule_of(SAMPLERS[name]().replace(use_karras_sigmas=True, **levels), 5)


@pytest.mark.parametrize("name", ["dpmpp-2m", "unipc"])
def test_levels_too_close_for_order_two(name: str) -> None:
    config = SAMPLERS[name]().replace(use_karras_sigmas=True, sigma_min=1.0, sigma_max=1.0 + 1e-9)
    with pytest.raises(ConfigError, match="5 steps of these noise levels are too short"):
        schedule_of(config, 5)


@pytest.mark.parametrize("name", samplers_for("betas"))
def test_betas_that_leave_all_or_nothing_of_the_signal(name: str) -> None:
    make: Any = SAMPLERS[name]
    with pytest.raises(ConfigError, match=r"trained_betas must be a number from 1e-09 to 0.9999, not 1e-17"):
        make(num_train_steps=100, trained_betas=(1e-17,) * 100)
    with pytest.raises(ConfigError, match="the betas leave a signal of only"):
        schedule_of(make(num_train_steps=100, trained_betas=(0.9999,) * 100), 5)
