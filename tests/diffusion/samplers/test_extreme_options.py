"""Extreme options: every sampler refuses them with a ConfigError, or makes a table of finite numbers."""

import dataclasses
import math
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ddim_edge import ConfigError, DdimConfig, EulerConfig, UnipcConfig, sampler_config, start
from ddim_edge.config import read_json
from ddim_edge.diffusion.samplers import SAMPLERS, schedule_of

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
    assert np.isfinite(schedule.levels).all()
    assert all(np.isfinite(row).all() for row in _rows(schedule))
    sampler = start(config, num_steps, np.zeros((1, 1, 2, 2), np.float32), lambda: np.zeros((1, 1, 2, 2), np.float32), strength)
    assert np.isfinite(_finished(sampler)).all()


def _rows(schedule: Any) -> list[Any]:
    """The rows of coefficients of any schedule."""
    names = ("rows", "calls", "predictors", "correctors", "from_prediction")
    return [row for name in names for row in getattr(schedule, name, ())]


def _finished(sampler: Any) -> Any:
    query = next(sampler)
    try:
        while True:
            query = sampler.send(np.zeros_like(query.sample))
    except StopIteration as end:
        return end.value
