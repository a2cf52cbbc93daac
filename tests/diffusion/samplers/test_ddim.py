"""The sampler is a generator: what it asks, what it is sent, what it returns."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import ddim_edge
from ddim_edge import ConfigError, DdimConfig, DdimSchedule, Query

Sample = NDArray[np.float32]

_SHAPE = (2, 1, 4, 4)
_START = np.random.default_rng(0).standard_normal(_SHAPE, np.float32)


def answer(query: Query) -> Sample:
    """A network of one line."""
    value: Sample = np.tanh(query.sample) * np.float32(1 - query.timestep / 2000)
    return value


def drive(sampler: ddim_edge.Sampler, network: Callable[[Query], Sample] = answer) -> tuple[list[Query], Sample]:
    """Every query, and the result."""
    queries = [next(sampler)]
    while True:
        try:
            queries.append(sampler.send(network(queries[-1])))
        except StopIteration as stop:
            return queries, stop.value


def counted(calls: list[int]) -> Callable[[], Sample]:
    """A noise source that counts."""
    generator = np.random.default_rng(1)

    def noise() -> Sample:
        calls.append(len(calls))
        return generator.standard_normal(_SHAPE, np.float32)

    return noise


def test_queries_walk_down_the_timesteps_and_carry_the_last_denoised() -> None:
    schedule = DdimSchedule(DdimConfig(eta=0.5), 10)
    noise, same = counted([]), counted([])
    queries, result = drive(ddim_edge.ddim(schedule, _START, noise))
    assert [query.timestep for query in queries] == schedule.timesteps.tolist()
    assert all(type(query.timestep) is int for query in queries)
    assert queries[0].denoised is None
    np.testing.assert_array_equal(queries[0].sample, _START)
    sample = _START
    for step, query in enumerate(queries):
        np.testing.assert_array_equal(query.sample, sample)
        fresh = same() if schedule.is_stochastic(step) else None
        sample, denoised = schedule.step(step, sample, answer(query), fresh)
        if step + 1 < len(queries):
            np.testing.assert_array_equal(queries[step + 1].denoised, denoised)
    np.testing.assert_array_equal(result, sample)


@pytest.mark.parametrize("options", [{}, {"rederive_noise": True}, {"dynamic_threshold_ratio": 0.9}, {"eta": 1.0}])
@pytest.mark.parametrize("prediction_type", ["noise", "angular_velocity", "sample"])
def test_float32_stays_and_nothing_is_written_to(prediction_type: Any, options: dict[str, Any]) -> None:
    config = DdimConfig(prediction_type=prediction_type, **options)
    start = _START.copy()
    sampler = ddim_edge.ddim(DdimSchedule(config, 7), start, counted([]))
    kept: list[tuple[Sample, Sample]] = []

    def keep(query: Query) -> Sample:
        sent = answer(query)
        kept.extend((array, array.copy()) for array in (query.sample, sent, query.denoised) if array is not None)
        return sent

    _, result = drive(sampler, keep)
    kept.append((start, _START))
    for array, copy in kept:
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, copy)
    assert result.dtype == np.float32
    assert result.shape == _SHAPE


@pytest.mark.parametrize(("eta", "calls"), [(0.0, 0), (0.5, 9), (1.0, 9)])
def test_noise_is_asked_for_only_where_sigma_is_positive(eta: float, calls: int) -> None:
    """The last of the ten steps leads to ᾱ' = 1 and adds none."""
    made: list[int] = []
    drive(ddim_edge.ddim(DdimSchedule(DdimConfig(eta=eta), 10), _START, counted(made)))
    assert len(made) == calls


def test_without_noise_a_stochastic_step_says_what_it_needs() -> None:
    sampler = ddim_edge.ddim(DdimSchedule(DdimConfig(eta=0.5), 10), _START)
    with pytest.raises(ConfigError, match=r"step 0 has sigma 0\.\d+ \(eta 0\.5\): pass noise"):
        sampler.send(answer(next(sampler)))


def test_a_prediction_of_another_shape_is_refused() -> None:
    sampler = ddim_edge.ddim(DdimSchedule(DdimConfig(), 10), _START)
    next(sampler)
    with pytest.raises(ConfigError, match=r"prediction's shape \(2, 2, 4, 4\) is not the sample's, \(2, 1, 4, 4\)"):
        sampler.send(np.zeros((2, 2, 4, 4), np.float32))


@pytest.mark.parametrize("step", [10, -1])
def test_a_step_that_the_run_does_not_have(step: int) -> None:
    with pytest.raises(ConfigError, match=f"the run has no step {step}: its 10 steps are 0 to 9"):
        DdimSchedule(DdimConfig(), 10).step(step, _START, _START)


def test_start_is_the_sampler_of_the_config() -> None:
    config = DdimConfig(eta=0.3)
    _, one = drive(ddim_edge.start(config, 10, _START, counted([])))
    _, other = drive(ddim_edge.ddim(DdimSchedule(config, 10), _START, counted([])))
    np.testing.assert_array_equal(one, other)


@given(st.floats(0, 1), st.integers(1, 40), st.floats(0.1, 3))
def test_clipping_bounds_every_denoised(eta: float, num_steps: int, clip_range: float) -> None:
    schedule = DdimSchedule(DdimConfig(num_train_steps=40, eta=eta, clip_range=clip_range), num_steps)
    queries, result = drive(ddim_edge.ddim(schedule, _START, counted([])))
    limit = np.float32(clip_range)
    assert all(abs(query.denoised).max() <= limit for query in queries if query.denoised is not None)
    assert abs(result).max() <= limit * (1 + 1e-6)


def test_two_samplers_of_one_schedule_do_not_meet() -> None:
    schedule = DdimSchedule(DdimConfig(), 5)
    _, alone = drive(ddim_edge.ddim(schedule, _START))
    one, other = ddim_edge.ddim(schedule, _START), ddim_edge.ddim(schedule, -_START)
    query, aside = next(one), next(other)
    for _ in range(4):
        query, aside = one.send(answer(query)), other.send(answer(aside))
    with pytest.raises(StopIteration) as stop:
        one.send(answer(query))
    np.testing.assert_array_equal(stop.value.value, alone)
