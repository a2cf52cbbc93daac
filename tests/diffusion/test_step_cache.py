"""The step cache: its text, and the schedule of whole calls as a table, without a network."""

import numpy as np
import pytest

from ddim_edge.diffusion.levels import Levels
from ddim_edge.diffusion.samplers import SAMPLERS, PndmConfig, schedule_of
from ddim_edge.diffusion.step_cache import CallPlan, StepCache, starts_of, whole_calls
from ddim_edge.errors import ConfigError


def cache_of(text: str, threshold: float | None = None) -> StepCache:
    cache = StepCache.parse(text, threshold)
    assert cache is not None
    return cache


@pytest.mark.parametrize(
    ("text", "cache", "canonical"),
    [
        ("forecast", StepCache("forecast", 3), "forecast:3"),
        ("forecast:1", StepCache("forecast", 1), "forecast:1"),
        ("deep", StepCache("deep", 3), "deep:3"),
        ("deep:5", StepCache("deep", 5), "deep:5"),
        ("deep:5:15:1.4", StepCache("deep", 5, 15.0, 1.4), "deep:5:15:1.4"),
    ],
)
def test_text_is_read_and_given_back(text: str, cache: StepCache, canonical: str) -> None:
    assert StepCache.parse(text) == cache
    assert str(cache) == canonical
    assert StepCache.parse(canonical) == cache


def test_off_is_no_cache() -> None:
    assert StepCache.parse("off") is None
    with pytest.raises(ConfigError, match="cache_threshold needs a cache"):
        StepCache.parse("off", 0.1)


@pytest.mark.parametrize(
    "text", ["", "on", "deep:", "forecast:2:3", "forecast:2:15:1.4", "deep:1.5", "deep:3:15", 3, None]
)
def test_another_text_is_an_error_with_the_forms(text: object) -> None:
    with pytest.raises(ConfigError, match=r"cache must be off, forecast, forecast:N, deep, deep:N or"):
        StepCache.parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("forecast:0", "N must be from 1 to 1000"),
        ("deep:-2", "N must be from 1 to 1000"),
        ("deep:3:-1:1.4", "CENTER must be a number"),
        ("deep:3:nan:1.4", "CENTER must be a finite number"),
        ("deep:3:15:0.5", "POWER must be a number"),
    ],
)
def test_a_number_out_of_range_is_an_error(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        StepCache.parse(text)


def test_threshold_is_checked() -> None:
    for threshold in (-0.1, float("nan"), float("inf")):
        with pytest.raises(ConfigError, match="cache_threshold"):
            cache_of("forecast:3", threshold)
    with pytest.raises(ConfigError, match="give one of them"):
        cache_of("deep:3:15:1.4", 0.1)


@pytest.mark.parametrize(
    ("text", "num_calls", "order", "whole"),
    [
        ("deep:1", 5, 1, [0, 1, 2, 3, 4]),
        ("deep:2", 5, 1, [0, 2, 4]),
        ("deep:3", 10, 1, [0, 3, 6, 9]),
        ("deep:5", 10, 1, [0, 5]),
        ("deep:5:6:1.4", 20, 1, [0, 4, 7, 13]),
        ("forecast:1", 5, 1, [0, 1, 2, 3, 4]),
        ("forecast:2", 10, 0, [0, 2, 4, 6, 8, 9]),
        ("forecast:2", 10, 1, [0, 1, 3, 5, 7, 9]),
        ("forecast:3", 10, 1, [0, 1, 4, 7, 9]),
        ("forecast:3", 10, 2, [0, 1, 2, 5, 8, 9]),
        ("forecast:5", 5, 1, [0, 1, 4]),
        ("forecast:2", 2, 1, [0, 1]),
    ],
)
def test_whole_calls(text: str, num_calls: int, order: int, whole: list[int]) -> None:
    flags = whole_calls(cache_of(text), num_calls, order=order)
    assert np.flatnonzero(flags).tolist() == whole
    assert len(flags) == num_calls


@pytest.mark.parametrize(
    ("every", "order", "calls"), [(2, 0, 26), (2, 1, 26), (2, 2, 27), (3, 1, 18), (3, 2, 19), (5, 1, 12), (5, 2, 13)]
)
def test_number_of_whole_calls_of_fifty_forecast_ones(every: int, order: int, calls: int) -> None:
    assert sum(whole_calls(StepCache("forecast", every), 50, order=order)) == calls


def test_uneven_spacing_is_densest_at_its_center() -> None:
    calls = np.flatnonzero(whole_calls(cache_of("deep:2:20:2"), 40))
    gaps = np.diff(calls)
    nearest = np.argmin(np.abs(calls[:-1] - 20))
    assert gaps[nearest] == gaps.min() < gaps[0]
    assert gaps[-1] > gaps.min()


def test_the_schedule_begins_anew_at_a_start() -> None:
    assert np.flatnonzero(whole_calls(cache_of("deep:3"), 10, starts=(0, 4))).tolist() == [0, 3, 4, 7]
    assert np.flatnonzero(whole_calls(cache_of("forecast:3"), 12, starts=(0, 4))).tolist() == [0, 1, 4, 5, 8, 11]


def test_starts_of_all_samplers() -> None:
    for name, config in SAMPLERS.items():
        if name in ("heun", "flow-heun", "dpm2-a"):  # the second call of a step is at the level of the next one
            assert starts_of(schedule_of(config(), 10).levels) == tuple(range(0, 19, 2))
        elif name != "pndm":
            assert starts_of(schedule_of(config(), 10).levels) == (0,)
    assert starts_of(schedule_of(PndmConfig(), 10).levels) == (0, 2, 4, 6, 8, 10, 12)
    assert starts_of(schedule_of(PndmConfig(reduce_warmup=True), 10).levels) == (0, 2)


def test_guidance_that_turns_on_or_off_is_a_start() -> None:
    levels = Levels.preserving(np.linspace(0.1, 0.9, 6))
    assert starts_of(levels, [False, False, True, True, True, False]) == (0, 2, 5)


def test_runs_that_cannot_be_cached() -> None:
    with pytest.raises(ConfigError, match="at least 2 network calls, and this run makes 1"):
        whole_calls(cache_of("forecast:1"), 1)
    with pytest.raises(ConfigError, match=r"deep:6 makes one call in 6 whole, and this run makes 5"):
        whole_calls(cache_of("deep:6"), 5)


def test_a_plan_without_threshold_is_the_table() -> None:
    cache = cache_of("forecast:3")
    plan = CallPlan(cache, 10)
    assert not plan.observes
    assert tuple(plan.is_whole(call) for call in range(10)) == whole_calls(cache, 10)


def run(plan: CallPlan, predictions: np.ndarray) -> list[int]:
    """The whole calls of a run with these predictions."""
    whole = []
    for call, prediction in enumerate(predictions):
        if plan.is_whole(call):
            whole.append(call)
            plan.observe(call, prediction)
    return whole


@pytest.mark.parametrize("kind", ["forecast", "deep"])
def test_adaptive_calls_follow_the_change(kind: str) -> None:
    """The prediction changes by 10 % a call in the first half, and not at all in the second."""
    steps = np.minimum(np.arange(20), 10)
    predictions = 1.1 ** steps[:, None].astype(np.float32) * np.ones((20, 4), np.float32)
    whole = run(CallPlan(cache_of(f"{kind}:4", 0.15), 20), predictions)
    assert whole[:6] == [0, 1, 3, 5, 7, 9]  # 9 to 18 % a call: one call in a row at most
    assert np.diff(whole).max() == 4  # and N - 1 where nothing changes


def test_adaptive_without_any_change_is_the_table() -> None:
    cache = cache_of("forecast:4", 0.1)
    assert run(CallPlan(cache, 20), np.ones((20, 4), np.float32)) == np.flatnonzero(whole_calls(cache, 20)).tolist()


def test_threshold_zero_caches_only_what_does_not_change() -> None:
    rising = np.arange(1, 11, dtype=np.float32)[:, None]
    assert run(CallPlan(cache_of("deep:4", 0.0), 10), rising) == list(range(10))
    assert run(CallPlan(cache_of("deep:4", 0.0), 10), np.zeros((10, 4), np.float32)) == [0, 1, 5, 9]


def test_what_was_expected_counts_where_it_is_known() -> None:
    """Predictions that rise, and are expected to: nothing is wrong, so N alone decides."""
    plan, whole = CallPlan(cache_of("forecast:4", 0.01), 20), []
    for call in range(20):
        if plan.is_whole(call):
            whole.append(call)
            rising = np.full(4, 1.0 + call, np.float32)
            plan.observe(call, rising, rising)
    assert whole == np.flatnonzero(whole_calls(cache_of("forecast:4"), 20)).tolist()
