"""CFG++: the paper's step written out, its scale as one of classifier-free guidance, and its mean on Gaussians."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import ddim_edge
from ddim_edge.diffusion.guidance import guide
from ddim_edge.diffusion.samplers import SAMPLERS, FlowEulerConfig, SamplerConfig, schedule_of, start
from ddim_edge.diffusion.samplers.cfg_plus_plus import SAMPLERS as WITH_ONE_NOISE
from ddim_edge.diffusion.samplers.cfg_plus_plus import cfg_plus_plus, check_sampler, noise_weights
from ddim_edge.diffusion.samplers.query import Guided
from ddim_edge.diffusion.schedule import alpha_bars, prediction_columns

Sample = NDArray[np.float32]
SHAPE = (2, 1, 4, 4)
STEPS = 7
CONFIGS = [SAMPLERS[name]() for name in WITH_ONE_NOISE] + [
    ddim_edge.DdimConfig(prediction_type="angular_velocity", timestep_spacing="trailing", transition="next"),
    ddim_edge.DdimConfig(eta=0.7, alpha_clip_strategy="alpha_zero", timesteps_offset=1),
    ddim_edge.EulerConfig(use_karras_sigmas=True, final_sigma="sigma_min"),
    FlowEulerConfig(stochastic_sampling=True),
]


def unlimited(config: SamplerConfig) -> SamplerConfig:
    return config.replace(clip_denoised_sample=False) if hasattr(config, "clip_denoised_sample") else config


def named(config: SamplerConfig) -> str:
    return config.name


def network(sample: Sample, timestep: float, label: int) -> Sample:
    """Smooth, bounded, and another one for each of the classes 1 and 0."""
    answer: Sample = np.tanh(np.float32(0.7) * sample + np.float32(0.001 * timestep - 0.5 * label))
    return answer


def draws() -> Callable[[], Sample]:
    generator = np.random.default_rng(5)
    return lambda: generator.standard_normal(SHAPE, np.float32)


def samples_of(sampler: Any, answer: Callable[[Sample, float, int], Any]) -> Iterator[Sample]:
    """Every sample that the network is fed, and the result; ``answer`` takes one, its timestep and the call."""
    query, call = next(sampler), 0
    while True:
        yield query.sample.copy()
        try:
            query = sampler.send(answer(query.sample, query.timestep, call))
        except StopIteration as end:
            yield end.value
            return
        call += 1


def plus_plus(config: SamplerConfig, scale: float, begin: Sample, net: Callable[..., Sample] = network) -> list[Sample]:
    def answer(sample: Sample, timestep: float, _call: int) -> Guided:
        unconditional = net(sample, timestep, 0)
        return Guided(guide(net(sample, timestep, 1), unconditional, scale), unconditional)

    weights = noise_weights(config, schedule_of(config, STEPS))
    return list(samples_of(cfg_plus_plus(start(config, STEPS, begin, draws()), weights), answer))


def plain(config: SamplerConfig, scales: list[float], begin: Sample) -> list[Sample]:
    """Classifier-free guidance with a scale for each step."""

    def answer(sample: Sample, timestep: float, call: int) -> Sample:
        return guide(network(sample, timestep, 1), network(sample, timestep, 0), scales[call])

    return list(samples_of(start(config, STEPS, begin, draws()), answer))


def close(found: list[Sample], wanted: list[Any], tolerance: float = 2e-5) -> None:
    for call, (one, other) in enumerate(zip(found, wanted, strict=True)):
        assert abs(one - other).max() <= tolerance * max(1, abs(other).max()), f"before call {call}"


@pytest.mark.parametrize("clips", [False, True])
@pytest.mark.parametrize("eta", [0.0, 0.6])
def test_ddim_is_the_papers_algorithm(eta: float, clips: bool) -> None:
    config = ddim_edge.DdimConfig(eta=eta, clip_denoised_sample=clips)
    begin, scale, noise = draws()() * 2, 0.6, draws()
    schedule = ddim_edge.DdimSchedule(config, STEPS)
    bars = [*schedule.alpha_bars[schedule.timesteps].tolist(), 1.0]
    wanted, x = [begin.astype(np.float64)], begin.astype(np.float64)
    for timestep, (bar, then) in zip(schedule.timesteps.tolist(), itertools.pairwise(bars), strict=True):
        null, own = (network(x.astype(np.float32), timestep, label).astype(np.float64) for label in (0, 1))
        x_0 = (x - np.sqrt(1 - bar) * (null + scale * (own - null))) / np.sqrt(bar)
        x_0 = np.clip(x_0, -1, 1) if clips else x_0
        sigma = eta * np.sqrt((1 - then) / (1 - bar) * (1 - bar / then))
        x = np.sqrt(then) * x_0 + np.sqrt(1 - then - sigma**2) * null
        x = x + sigma * noise() if sigma else x
        wanted.append(x)
    close(plus_plus(config, scale, begin), wanted)


def _kept_sigmas(config: SamplerConfig) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """σ at each call, and σ of the noise that the step after it keeps, the rest being fresh."""
    sigmas = schedule_of(config, STEPS).levels.sigmas
    end = np.sqrt(alpha_bars(config)[0] ** -1 - 1) if _ends_above_zero(config) else 0.0  # type: ignore[arg-type]
    then = np.append(sigmas[1:], end)
    if config.name == "euler-a":
        return sigmas, then**2 / sigmas
    if config.name == "flow-euler-a":
        down = _times(then) ** 2 / _times(sigmas)
        return sigmas, down / (1 - down)
    return sigmas, then * (not getattr(config, "stochastic_sampling", False))


def _times(sigmas: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(np.isinf(sigmas), 1.0, 1 - 1 / (1 + sigmas))


def _ends_above_zero(config: SamplerConfig) -> bool:
    return getattr(config, "final_sigma", "zero") != "zero" or getattr(config, "alpha_clip_strategy", "one") != "one"


@pytest.mark.parametrize("config", [config for config in CONFIGS if getattr(config, "eta", 0) in (0, 1)], ids=named)
def test_without_a_limit_it_is_guidance_of_another_scale_at_each_step(config: SamplerConfig) -> None:
    config, begin, scale = unlimited(config), draws()(), 0.4
    sigmas, kept = _kept_sigmas(config)
    close(plus_plus(config, scale, begin), plain(config, (scale / (1 - kept / sigmas)).tolist(), begin), 2e-4)


@pytest.mark.parametrize("config", CONFIGS, ids=named)
def test_a_network_that_ignores_the_class_is_not_guided(config: SamplerConfig) -> None:
    def same(sample: Sample, timestep: float, _label: int) -> Sample:
        return network(sample, timestep, 0)

    found = plus_plus(config, 0.6, draws()(), same)
    for one, other in zip(found, plain(config, [0.0] * STEPS, draws()()), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("config", CONFIGS, ids=named)
def test_a_scale_of_0_is_the_unconditional_run(config: SamplerConfig) -> None:
    close(plus_plus(config, 0.0, draws()()), plain(config, [0.0] * STEPS, draws()()))


@pytest.mark.parametrize("config", [c for c in CONFIGS if not getattr(c, "timesteps_offset", 0)], ids=named)
def test_a_run_ends_at_the_guided_x_0(config: SamplerConfig) -> None:
    """Its last step adds no noise, so with a scale of 1 it is the conditional one."""
    if getattr(config, "final_sigma", "zero") != "zero":
        return
    *_, fed, end = plus_plus(config, 1.0, draws()())
    schedule = schedule_of(config, STEPS)
    x0_x, x0_p = (float(column[-1]) for column in prediction_columns(config, schedule.levels)[:2])
    x_0 = x0_x * fed + x0_p * network(fed, schedule.timesteps.tolist()[-1], 1)
    limited = np.clip(x_0, -1, 1) if getattr(config, "clip_denoised_sample", False) else x_0
    np.testing.assert_allclose(end, limited, rtol=1e-4, atol=1e-5)


def test_the_mean_of_gaussians_is_that_of_the_closed_form() -> None:
    """Classes N(m, s²): each step moves x/signal by λ·σ²/(s² + σ²)·(m_c - m_∅), which later steps shrink."""
    config = ddim_edge.DdimConfig(clip_denoised_sample=False)
    schedule = schedule_of(config, STEPS)
    levels, times = schedule.levels, schedule.timesteps.tolist()
    deviation, means, scale = 0.5, (0.3, -0.4), 0.6

    def perfect(sample: Sample, timestep: float, label: int) -> Sample:
        level = levels[times.index(timestep)]
        variance = level.signal**2 * deviation**2 + level.noise**2
        eps: Sample = (level.noise / variance * (sample - level.signal * means[label])).astype(np.float32)
        return eps

    begin = draws()()
    moved = plus_plus(config, scale, begin, perfect)[-1] - plus_plus(config, 0.0, begin, perfect)[-1]
    expected, sigmas = 0.0, [*levels.sigmas.tolist(), 0.0]
    for sigma, then in itertools.pairwise(sigmas):
        variance = deviation**2 + sigma**2
        expected *= 1 + (then - sigma) * sigma / variance
        expected += scale * sigma**2 / variance * (means[1] - means[0])
    np.testing.assert_allclose(moved, expected, rtol=1e-3, atol=1e-4)


def test_where_there_is_no_guidance_a_step_stays() -> None:
    config, begin = ddim_edge.DdimConfig(), draws()()
    weights = noise_weights(config, schedule_of(config, STEPS))
    sampler = cfg_plus_plus(start(config, STEPS, begin), weights)
    found = list(samples_of(sampler, lambda sample, timestep, _call: network(sample, timestep, 1)))
    for one, other in zip(found, plain(config, [1.0] * STEPS, begin), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("name", sorted(SAMPLERS.keys() - set(WITH_ONE_NOISE)))
def test_samplers_with_another_step_are_refused(name: str) -> None:
    with pytest.raises(ddim_edge.ConfigError, match=rf"^guidance_mode cfg\+\+ works with ddim, .* sampler is {name}"):
        check_sampler(SAMPLERS[name]())


@pytest.mark.parametrize(
    "config",
    [ddim_edge.DdimConfig(rederive_noise=True), ddim_edge.EulerConfig(dynamic_threshold_ratio=0.9)],
    ids=named,
)
def test_noise_from_a_limited_x_0_is_refused(config: SamplerConfig) -> None:
    with pytest.raises(ddim_edge.ConfigError, match="turn off rederive_noise, or dynamic thresholding"):
        check_sampler(config)
    check_sampler(type(config)())
