"""Every deterministic sampler's order of convergence, and what it saves, with the perfect network of a Gaussian."""

import itertools
from typing import Any

import numpy as np
import pytest

import ddim_edge
from ddim_edge import (
    DdimConfig,
    DdpmConfig,
    DpmppConfig,
    EulerConfig,
    LcmConfig,
    PndmConfig,
    SamplerConfig,
    UnipcConfig,
)
from ddim_edge.diffusion.levels import CLEAN, Level
from ddim_edge.diffusion.samplers import (
    DeisConfig,
    DpmppSinglestepConfig,
    EdmDpmppConfig,
    EdmEulerConfig,
    FlowEulerConfig,
    IpndmConfig,
    schedule_of,
)
from ddim_edge.diffusion.samplers.deis import FlowDeisConfig
from ddim_edge.diffusion.samplers.dpmpp import FlowDpmppConfig
from ddim_edge.diffusion.samplers.dpmpp_2s import FlowSinglestepConfig
from ddim_edge.diffusion.samplers.heun import FlowHeunConfig, HeunConfig
from ddim_edge.diffusion.samplers.kdpm2 import Kdpm2Config
from ddim_edge.diffusion.samplers.lms import LmsConfig
from ddim_edge.diffusion.samplers.unipc import FlowUnipcConfig
from ddim_edge.diffusion.schedule import alpha_bars

from . import gaussian

# The β of the usual 1,000 training steps cut 16 times finer, so that 400 steps are still few of them.
_DENSE: dict[str, Any] = {"num_train_steps": 16_000, "beta_start": 0.0001 / 16, "beta_end": 0.02 / 16}
# A run that ends at ᾱ = 0.7: nearer to 1, σ grows as the root of t, and no method in t keeps its order there.
_SMOOTH: dict[str, Any] = {
    "num_train_steps": 8_000,
    "trained_betas": (0.3, *np.linspace(0.0001 / 8, 0.02 / 8, 7_999).tolist()),
    "alpha_clip_strategy": "alpha_zero",
}
# Given times, so that all runs of a solver in flow matching have the same ends.
_TO_LAST: dict[str, Any] = {"sigmas": (0.99, 0.05), "final_sigma": "sigma_min", "lower_order_final": False}
_LEVELS: dict[str, Any] = {"use_karras_sigmas": True, "final_sigma": "sigma_min", **_DENSE}
_KARRAS: dict[str, Any] = {"lower_order_final": False, **_LEVELS}


def error_after(config: Any, num_steps: int) -> float:
    """The distance from the exact flow, in float64, so that rounding is out of the way."""
    start: Any = np.random.default_rng(0).standard_normal((1, 1, 8, 8))
    ends_clean = getattr(config, "final_sigma", "zero") == "zero" and config.alpha_clip_strategy == "one"
    end = 1.0 if ends_clean else float(alpha_bars(config)[0])
    exact = gaussian.flow(schedule_of(config, num_steps).levels[0].signal ** 2, end, start)
    if isinstance(config, EulerConfig | HeunConfig | Kdpm2Config | LmsConfig):
        exact /= np.sqrt(end)  # its result is x/sqrt(ᾱ)
    return float(np.sqrt(np.mean((gaussian.run(config, num_steps, start) - exact) ** 2)))


def error_after_calls(config: SamplerConfig, calls: int) -> float:
    extra = 0 if not isinstance(config, PndmConfig) else 1 if config.reduce_warmup else 9
    assert len(schedule_of(config, calls - extra).timesteps) == calls
    return error_after(config, calls - extra)


@pytest.mark.parametrize(
    ("config", "order"),
    [
        (DdimConfig(clip_denoised_sample=False, **_SMOOTH), 1),
        (PndmConfig(**_SMOOTH), 2),
        (PndmConfig(reduce_warmup=True, **_SMOOTH), 2),
        # Weights that hold for ε do not for v, which turns with t.
        (PndmConfig(prediction_type="angular_velocity", **_SMOOTH), 1),
        (EulerConfig(**_LEVELS), 1),
        (EulerConfig(prediction_type="angular_velocity", **_LEVELS), 1),
        (HeunConfig(**_LEVELS), 2),
        (HeunConfig(prediction_type="sample", **_LEVELS), 2),
        (Kdpm2Config(**_LEVELS), 2),
        (Kdpm2Config(prediction_type="angular_velocity", **_LEVELS), 2),
        (LmsConfig(**_LEVELS), 3.8),  # 3.95 from 400 steps to 800, towards 4
        (LmsConfig(prediction_type="sample", **_LEVELS), 3.8),
        (DpmppConfig(**_KARRAS), 2),
        (DpmppConfig(prediction_type="angular_velocity", **_KARRAS), 2),
        (DpmppConfig(solver_type="heun", algorithm_type="dpmsolver", **_KARRAS), 2),
        (DpmppConfig(solver_order=1, **_KARRAS), 1),
        (DpmppSinglestepConfig(**_KARRAS), 2),
        (DpmppSinglestepConfig(solver_order=3, solver_type="heun", **_KARRAS), 3),
        (DeisConfig(**_KARRAS), 2),
        (DeisConfig(solver_order=3, **_KARRAS), 3),
        (UnipcConfig(solver_order=1, **_KARRAS), 2),
        (UnipcConfig(solver_order=3, **_KARRAS), 4),
        (UnipcConfig(predict_x0=False, **_KARRAS), 3),
        (UnipcConfig(**_KARRAS), 3),
        (UnipcConfig(solver="bh1", **_KARRAS), 3),
        (UnipcConfig(prediction_type="sample", **_KARRAS), 3),
    ],
)
def test_the_error_falls_with_the_samplers_order(config: SamplerConfig, order: int) -> None:
    counts = [50, 100, 200, 400]
    errors = [error_after(config, count) for count in counts]
    observed = -np.polyfit(np.log(counts), np.log(errors), 1)[0]
    assert observed == pytest.approx(order, abs=0.2), errors


def test_order_three_of_dpmpp_has_a_smaller_error_than_order_two_and_no_higher_order() -> None:
    """As published, its D2 is half of the parabola's; DEIS has the whole."""
    published = DpmppConfig(solver_order=3, **_KARRAS)
    errors = [error_after(published, count) for count in (400, 1600)]
    assert np.log(errors[0] / errors[1]) / np.log(4) == pytest.approx(2, abs=0.1)
    assert errors[0] < error_after(DpmppConfig(**_KARRAS), 400) / 3
    assert error_after(DeisConfig(solver_order=3, **_KARRAS), 400) < errors[0] / 10


@pytest.mark.parametrize(("calls", "pndm", "solvers"), [(20, 5, 2), (50, 20, 10)])
def test_at_equal_calls_the_others_beat_ddim_clearly(calls: int, pndm: float, solvers: float) -> None:
    ddim = error_after_calls(DdimConfig(clip_denoised_sample=False, **_DENSE), calls)
    for reduced in (False, True):
        config = PndmConfig(alpha_clip_strategy="one", reduce_warmup=reduced, **_DENSE)
        assert error_after_calls(config, calls) < ddim / pndm
    assert error_after_calls(DpmppConfig(**_DENSE), calls) < ddim / solvers
    assert error_after_calls(UnipcConfig(**_DENSE), calls) < ddim / solvers


@pytest.mark.parametrize("large_variance", [False, True])
def test_ddpm_over_few_steps_has_the_moments_of_its_recursion(large_variance: bool) -> None:
    config = DdpmConfig(clip_denoised_sample=False, large_variance=large_variance)
    generator = np.random.default_rng(2)
    shape = (40_000, 1, 1, 1)

    def draw() -> gaussian.Sample:
        return generator.standard_normal(shape, np.float32)

    result = gaussian.run(config, 10, draw(), draw).astype(np.float64)
    mean, variance = 0.0, 1.0
    bars = [*schedule_of(config, 10).levels.alpha_bars.tolist(), 1.0]
    for now, then in itertools.pairwise(bars):
        beta = 1 - now / then
        gain = np.sqrt(now) * gaussian.DEVIATION**2 / gaussian.variance(now)
        from_x0, from_x = np.sqrt(then) * beta / (1 - now), np.sqrt(1 - beta) * (1 - then) / (1 - now)
        mean = from_x * mean + from_x0 * (gaussian.MEAN + gain * (mean - np.sqrt(now) * gaussian.MEAN))
        added = (beta if large_variance else (1 - then) / (1 - now) * beta) if then < 1 else 0.0
        variance = (from_x + from_x0 * gain) ** 2 * variance + added
    assert result.mean() == pytest.approx(mean, abs=5 * (variance / shape[0]) ** 0.5)
    assert result.var() == pytest.approx(variance, abs=5 * variance * (2 / shape[0]) ** 0.5)


def test_one_step_of_lcm_with_a_consistency_function_lands_on_the_end_of_the_flow() -> None:
    config = LcmConfig(prediction_type="sample", boundary_condition_timestep_scale=1e6)
    schedule = schedule_of(config, 1)
    start = np.random.default_rng(0).standard_normal((4, 1, 8, 8), np.float32)
    exact = gaussian.flow(schedule.levels[0].signal ** 2, 1.0, start)
    sampler = ddim_edge.start(config, 1, start)
    next(sampler)
    with pytest.raises(StopIteration) as end:
        sampler.send(exact.astype(np.float32))
    np.testing.assert_allclose(end.value.value, exact, atol=1e-6)


@pytest.mark.parametrize(
    ("config", "order"),
    [
        (FlowEulerConfig(num_train_steps=100_000), 1),
        (FlowEulerConfig(shift=3.0, timestep_spacing="trailing"), 1),
        (FlowHeunConfig(num_train_steps=100_000), 2),
        (FlowHeunConfig(shift=3.0, timestep_spacing="trailing"), 2),
        (EdmEulerConfig(), 1),
        (EdmEulerConfig(sigma_schedule="exponential", sigma_data=1.0, prediction_type="angular_velocity"), 1),
        (EdmDpmppConfig(lower_order_final=False), 2),
        (EdmDpmppConfig(lower_order_final=False, solver_type="heun"), 2),
        # Its step from noise alone asks no network, and is off by the signal behind it.
        (IpndmConfig(), 1),
    ],
)
def test_the_order_in_flow_matching_edm_and_angles(config: SamplerConfig, order: int) -> None:
    observed = orders_to(CLEAN, config)
    assert abs(observed - order).max() < 0.15, observed


@pytest.mark.parametrize(
    ("config", "order"),
    [
        (FlowDpmppConfig(**_TO_LAST), 2),
        (FlowDpmppConfig(solver_order=1, **_TO_LAST), 1),
        (FlowSinglestepConfig(**_TO_LAST), 2),
        (FlowDeisConfig(**_TO_LAST), 2),
        (FlowUnipcConfig(**_TO_LAST), 3),
        (FlowUnipcConfig(solver_order=3, **_TO_LAST), 4),
    ],
)
def test_the_order_of_the_solvers_in_flow_matching(config: SamplerConfig, order: int) -> None:
    """To the last level, since in log-SNR time no noise is infinitely far."""
    observed = orders_to(schedule_of(config, 50).levels[-1], config)
    assert abs(observed[-1] - order) < 0.15, observed


def test_behind_the_step_from_noise_alone_ipndm_is_of_order_two() -> None:
    """Not of order four: its weights are those of even steps, and its angles are not even."""
    observed = orders_to(CLEAN, IpndmConfig(), strength=0.5)
    assert abs(observed - 2).max() < 0.15, observed


def orders_to(end: Level, config: SamplerConfig, strength: float = 1.0) -> Any:
    """The orders that are observed from 50 steps to 100 and from 100 to 200, in float64."""
    begin: Any = np.random.default_rng(0).standard_normal((1, 1, 8, 8))
    errors = []
    for num_steps in (50, 100, 200):
        exact = gaussian.exact_end(schedule_of(config, num_steps, strength).levels[0], begin, end)
        errors.append(np.sqrt(np.mean((gaussian.run_perfect(config, num_steps, begin, strength) - exact) ** 2)))
    return np.log2(np.array(errors[:-1]) / errors[1:])
