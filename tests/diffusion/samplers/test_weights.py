"""The samplers' weights against the equations that define them, and what holds for all samplers alike."""

from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ddim_edge import DpmppConfig, EulerConfig, PndmConfig, SamplerConfig, UnipcConfig, start
from ddim_edge.config import BetasPrediction
from ddim_edge.diffusion.samplers import SAMPLERS, schedule_of
from ddim_edge.diffusion.samplers.pndm import MULTISTEP, RUNGE_KUTTA
from ddim_edge.diffusion.samplers.unipc_weights import _corrector_rhos, _Step

Sample = NDArray[np.float32]
SHAPE = (1, 2, 4, 4)
STEPS = st.floats(0.01, 3.0)


@given(h=STEPS, before=STEPS, solver=st.sampled_from(["bh1", "bh2"]))
def test_unipc_solves_the_papers_linear_system(h: float, before: float, solver: str) -> None:
    """R·ρ = b with R = [[1, 1], [r_1, 1]], b_k = k!·φ_k+1(-h)·(-h)/B (eq. 5), r_1 = -h_0/h."""
    step = _Step(keep=0.0, first=0.0, gain=0.0, z=-h, b_h=float(np.expm1(-h)) if solver == "bh2" else -h)
    b_h = np.expm1(-h) if solver == "bh2" else -h
    phi_2 = (np.expm1(-h) + h) / h**2  # φ_2(-h)
    phi_3 = (np.expm1(-h) + h - h**2 / 2) / -(h**3)  # φ_3(-h)
    wanted = np.linalg.solve(np.array([[1.0, 1.0], [-before / h, 1.0]]), np.array([phi_2, 2 * phi_3]) * -h / b_h)
    # The subtractions above lose digits where h is small; so would any right answer beside them.
    np.testing.assert_allclose(_corrector_rhos(step, [-before / h]), wanted, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("weights", MULTISTEP)
def test_multistep_weights_integrate_polynomials_below_their_order(weights: tuple[float, ...]) -> None:
    """The integral over [0, 1] of t^k, from its values at 0, -1, -2 and so on."""
    for power in range(len(weights)):
        values = [float(-position) ** power for position in range(len(weights))]
        assert np.dot(weights, values) == pytest.approx(1 / (power + 1))


def test_runge_kutta_weights_are_simpsons() -> None:
    first, second, third, last = RUNGE_KUTTA
    for power in range(4):
        assert first * 0.0**power + (second + third) * 0.5**power + last == pytest.approx(1 / (power + 1))


def drive(
    config: SamplerConfig, num_steps: int, sample: Sample, answers: Any, seed: int = 0
) -> tuple[Sample, Sample | None]:
    """The result, and the last estimate of x_0; ``answers`` are what the network says to each query."""
    generator = np.random.default_rng(seed)
    sampler = start(config, num_steps, sample, lambda: generator.standard_normal(SHAPE, np.float32))
    query = next(sampler)
    for level in schedule_of(config, num_steps).levels.alpha_bars.tolist():
        try:
            query = sampler.send(answers(query.sample, query.timestep, level))
        except StopIteration as end:
            return end.value, query.denoised
    raise AssertionError("the sampler asks more often than its schedule says")


@pytest.mark.parametrize("config", [DpmppConfig(), DpmppConfig(use_karras_sigmas=True), UnipcConfig(), EulerConfig()])
@pytest.mark.parametrize("kind", get_args(BetasPrediction))
@pytest.mark.parametrize("num_steps", [1, 2, 7, 30])
def test_a_network_that_always_sees_one_x_0_is_followed_exactly(
    config: DpmppConfig | UnipcConfig | EulerConfig, kind: BetasPrediction, num_steps: int
) -> None:
    target = np.random.default_rng(1).uniform(-1, 1, SHAPE)

    def answer(sample: Sample, _timestep: float, level: float) -> Sample:
        eps = (sample - np.sqrt(level) * target) / np.sqrt(1 - level)
        values = {
            "sample": target,
            "noise": eps,
            "angular_velocity": np.sqrt(level) * eps - np.sqrt(1 - level) * target,
        }
        return np.asarray(values[kind])

    begin: Any = np.random.default_rng(2).standard_normal(SHAPE)
    result, _ = drive(config.replace(prediction_type=kind), num_steps, begin, answer)
    np.testing.assert_allclose(result, target, atol=1e-6)


def network(sample: Sample, timestep: float, _level: float) -> Sample:
    answer: Sample = np.tanh(sample * np.float32(0.7) + np.float32(0.001 * timestep))
    return answer


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_same_noise_gives_the_same_result_bit_for_bit(name: str) -> None:
    sample = np.random.default_rng(3).standard_normal(SHAPE, np.float32)
    first, again, other = (drive(SAMPLERS[name](), 9, sample, network, seed)[0] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert first.dtype == np.float32
    assert (first != other).any() == SAMPLERS[name]().is_stochastic


@pytest.mark.parametrize("name", SAMPLERS)
def test_nothing_of_the_callers_is_written_to(name: str) -> None:
    sample = np.random.default_rng(3).standard_normal(SHAPE, np.float32)
    sample.flags.writeable = False

    def frozen(x: Sample, timestep: float, level: float) -> Sample:
        answer = network(x, timestep, level)
        answer.flags.writeable = False
        return answer

    assert np.isfinite(drive(SAMPLERS[name](), 9, sample, frozen)[0]).all()


@pytest.mark.parametrize("name", SAMPLERS)
def test_an_estimate_stands_in_every_query_but_the_first(name: str) -> None:
    sample = np.zeros(SHAPE, np.float32)
    sampler = start(SAMPLERS[name](), 9, sample, lambda: np.zeros(SHAPE, np.float32))
    query = next(sampler)
    assert query.denoised is None
    for level in schedule_of(SAMPLERS[name](), 9).levels.alpha_bars.tolist()[1:]:
        query = sampler.send(network(query.sample, query.timestep, level))
        assert query.denoised is not None
        assert query.denoised.shape == SHAPE


@pytest.mark.parametrize("reduce_warmup", [False, True])
@pytest.mark.parametrize("spacing", ["leading", "trailing", "linspace"])
def test_pndm_can_go_where_the_following_step_begins(reduce_warmup: bool, spacing: Any) -> None:
    """For x_0 and ε that do not change, φ is exact, so the sample stays on the forward process's path."""
    config = PndmConfig(reduce_warmup=reduce_warmup, timestep_spacing=spacing, transition="next")
    x_0, eps = np.random.default_rng(4).standard_normal((2, *SHAPE))
    schedule = schedule_of(config, 13)
    begin: Any = schedule.levels[0].signal * x_0 + schedule.levels[0].noise * eps
    sampler = start(config, 13, begin)
    query = next(sampler)
    for level in schedule.levels.alpha_bars.tolist()[1:]:
        query = sampler.send(np.asarray(eps))
        exact = np.sqrt(level) * x_0 + np.sqrt(1 - level) * eps
        # Half a step is rounded, so within the warm-up the sample may stand one timestep beside its level.
        np.testing.assert_allclose(query.sample, exact, atol=0.02)
    assert query.timestep == schedule.timesteps[-1]
    np.testing.assert_allclose(query.sample, exact, atol=1e-6)


@pytest.mark.parametrize(("reduce_warmup", "extra"), [(False, 9), (True, 1)])
@given(num_steps=st.integers(4, 200))
def test_pndm_pays_for_its_warm_up(reduce_warmup: bool, extra: int, num_steps: int) -> None:
    assert len(schedule_of(PndmConfig(reduce_warmup=reduce_warmup), num_steps).timesteps) == num_steps + extra
