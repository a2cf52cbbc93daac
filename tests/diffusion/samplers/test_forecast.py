"""Forecast predictions: exact for polynomials, of the order of Adams and Bashforth's method, for every sampler."""

from typing import Any

import numpy as np
import pytest

from ddim_edge import DdimConfig, SamplerConfig, start
from ddim_edge.diffusion.guidance import guide
from ddim_edge.diffusion.samplers import SAMPLERS, Query, Sampler, schedule_of
from ddim_edge.diffusion.samplers.forecast import forecast, lagrange
from ddim_edge.diffusion.samplers.inpaint import inpaint
from ddim_edge.diffusion.samplers.query import StepQuery
from ddim_edge.diffusion.samplers.table import samplers_for
from ddim_edge.diffusion.step_cache import CallPlan, StepCache, starts_of, whole_calls

from . import gaussian
from .test_convergence import _SMOOTH


def normal(seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal((1, 1, 8, 8), np.float32)


def forecasting(config: SamplerConfig, num_steps: int, every: int, sampler: Sampler, order: int = 1) -> Sampler:
    levels = schedule_of(config, num_steps).levels
    plan = CallPlan(StepCache("forecast", every), len(levels), starts_of(levels), order)
    return forecast(sampler, config, levels, plan, order)


def run(config: SamplerConfig, num_steps: int, sampler: Sampler) -> tuple[Any, list[float]]:
    """Drive a sampler with a Gaussian's perfect network. Returns its result, and the timesteps that it asked for."""
    schedule, query, asked = schedule_of(config, num_steps), next(sampler), list[float]()
    for timestep, bar in zip(schedule.timesteps.tolist(), schedule.levels.alpha_bars.tolist(), strict=True):
        if query.timestep != timestep:
            continue  # a cached call
        asked.append(timestep)
        try:
            query = sampler.send(gaussian.prediction(config.prediction_type, bar, query.sample))
        except StopIteration as end:
            return end.value, asked
    raise AssertionError("the sampler asks more often than its schedule says")


def test_a_polynomial_of_the_order_is_forecast_exactly() -> None:
    def value(at: float) -> float:
        return 2 - 3 * at + 5 * at**2

    nodes = (0.3, 0.5, 0.9)
    assert sum(w * value(at) for w, at in zip(lagrange(nodes, 1.4), nodes, strict=True)) == pytest.approx(value(1.4))
    assert lagrange((0.3,), 0.7) == (1.0,)


def test_the_error_falls_with_the_order_of_adams_and_bashforth() -> None:
    """Beside DDIM of as many steps, whose own error stays the same: order 1 for the last output again, 2 for linear."""
    config, steps = DdimConfig(clip_denoised_sample=False, **_SMOOTH), 800
    sample = normal().astype(np.float64)
    plain, _ = run(config, steps, start(config, steps, sample))
    for order in (0, 1, 2):
        calls, errors = [], []
        for every in (4, 8, 16):
            result, asked = run(config, steps, forecasting(config, steps, every, start(config, steps, sample), order))
            calls.append(len(asked))
            errors.append(np.sqrt(np.mean((result - plain) ** 2)))
        observed = -np.polyfit(np.log(calls), np.log(errors), 1)[0]
        assert observed == pytest.approx(order + 1, abs=0.35), (order, errors)


def test_a_linear_forecast_beats_as_many_plain_steps() -> None:
    config = DdimConfig(clip_denoised_sample=False, **_SMOOTH)
    sample = normal().astype(np.float64)
    exact, _ = run(config, 4000, start(config, 4000, sample))
    cached, asked = run(config, 50, forecasting(config, 50, 3, start(config, 50, sample)))
    fewer, _ = run(config, len(asked), start(config, len(asked), sample))
    assert len(asked) == 18
    assert np.abs(cached - exact).mean() < 0.5 * np.abs(fewer - exact).mean()


STRONG = DdimConfig(eta=1.0)
CONFIGS = [*(SAMPLERS[name]() for name in samplers_for("betas")), STRONG]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
def test_every_sampler_runs_with_the_calls_of_the_table(config: SamplerConfig) -> None:
    steps, draws = 12, list[int]()
    levels = schedule_of(config, steps).levels

    def noise() -> Any:
        draws.append(len(draws))
        return normal(len(draws))

    def start_it() -> Sampler:
        draws.clear()
        return start(config, steps, normal(), noise)

    plain, asked_plain = run(config, steps, start_it())
    drawn = list(draws)
    cached, asked = run(config, steps, forecasting(config, steps, 3, start_it()))
    whole = whole_calls(StepCache("forecast", 3), len(levels), starts_of(levels))
    assert draws == drawn  # as much noise, from the same places of its stream
    assert asked == [timestep for timestep, is_whole in zip(asked_plain, whole, strict=True) if is_whole]
    assert np.abs(cached - plain).mean() < (0.3 if config.is_stochastic else 0.1 if config.name == "dpm2" else 0.05)


@pytest.mark.parametrize("kind", ["noise", "sample"])
def test_the_prediction_type_does_not_matter(kind: Any) -> None:
    def result(config: DdimConfig) -> Any:
        return run(config, 20, forecasting(config, 20, 3, start(config, 20, normal())))[0]

    velocity = DdimConfig(prediction_type="angular_velocity")
    np.testing.assert_allclose(result(velocity.replace(prediction_type=kind)), result(velocity), atol=1e-4)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
def test_where_every_call_is_whole_nothing_changes(config: SamplerConfig) -> None:
    plain, _ = run(config, 6, start(config, 6, normal(), normal))
    cached, _ = run(config, 6, forecasting(config, 6, 1, start(config, 6, normal(), normal)))
    np.testing.assert_array_equal(cached, plain)


def run_of_constant_predictions(sampler: Sampler) -> Any:
    query = next(sampler)
    while True:
        try:
            query = sampler.send(np.full_like(query.sample, 0.5))
        except StopIteration as end:
            return end.value


def test_noise_of_eta_is_drawn_at_the_same_steps() -> None:
    """With a constant velocity a forecast is exact, so only the noise could differ."""
    config = DdimConfig(eta=1.0, prediction_type="angular_velocity")

    def result(every: int) -> Any:
        stream = np.random.default_rng(1)
        sampler = start(config, 20, normal(), lambda: stream.standard_normal((1, 1, 8, 8), np.float32))
        wrapped = forecasting(config, 20, every, sampler)
        return run_of_constant_predictions(wrapped)

    np.testing.assert_allclose(result(4), result(1), atol=2e-6)


def test_what_a_mask_keeps_is_put_back_at_cached_calls_too() -> None:
    config, steps, original = DdimConfig(), 12, normal(1)
    keep = np.zeros((1, 1, 8, 8), bool)
    keep[..., :4] = True
    levels, kept = schedule_of(config, steps).levels, inpainting(config, steps, original, keep)
    result, asked = run(config, steps, forecasting(config, steps, 3, kept))
    np.testing.assert_array_equal(result[keep], original[keep])
    assert len(asked) == sum(whole_calls(StepCache("forecast", 3), len(levels)))
    plain, _ = run(config, steps, inpainting(config, steps, original, keep))
    assert 0 < np.abs(result - plain).max() < 0.2


def inpainting(config: SamplerConfig, steps: int, original: Any, keep: Any) -> Sampler:
    levels = schedule_of(config, steps).levels
    return inpaint(start(config, steps, normal()), levels, original, normal(2), keep)


def test_no_step_is_asked_for_that_a_graph_would_compute() -> None:
    config = DdimConfig()
    assert isinstance(next(start(config, 6, normal())), StepQuery)
    assert type(next(forecasting(config, 6, 3, start(config, 6, normal())))) is Query


@pytest.mark.parametrize("name", ["flow-euler", "edm-euler"])
def test_a_velocity_of_another_family_is_extrapolated_as_it_is(name: str) -> None:
    config = SAMPLERS[name]()

    def result(every: int) -> Any:
        sampler = forecasting(config, 12, every, start(config, 12, normal()))
        return run_of_constant_predictions(sampler)

    np.testing.assert_allclose(result(3), result(1), atol=2e-6)


def test_guided_outputs_forecast_together_or_apart_are_the_same() -> None:
    nodes, at, scale = (1.2, 1.0), 0.8, 7.5
    conditional, unconditional = ([normal(seed + turn) for turn in (0, 1)] for seed in (0, 10))

    def extrapolated(values: list[Any]) -> Any:
        return sum(weight * value for weight, value in zip(lagrange(nodes, at), values, strict=True))

    together = extrapolated([guide(c, u, scale) for c, u in zip(conditional, unconditional, strict=True)])
    apart = guide(extrapolated(conditional), extrapolated(unconditional), scale)
    np.testing.assert_allclose(together, apart, rtol=1e-4, atol=1e-5)
