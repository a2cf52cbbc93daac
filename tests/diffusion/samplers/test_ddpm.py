"""DDPM's refusals, the moments of its result with the perfect network, and a learned variance."""

import numpy as np
import pytest

import ddim_edge
from ddim_edge.diffusion.samplers import schedule_of
from ddim_edge.diffusion.samplers.ddpm import DdpmSchedule

from . import gaussian


def test_noise_that_would_be_shared_across_the_batch_is_refused() -> None:
    schedule = ddim_edge.DdimSchedule(ddim_edge.DdimConfig(eta=1.0), 10)
    sample = np.zeros((2, 1, 4, 4), np.float32)
    with pytest.raises(ddim_edge.ConfigError, match="noise's shape"):
        schedule.step(0, sample, sample, sample[:1])


@pytest.mark.parametrize("large_variance", [False, True])
def test_the_moments_are_those_of_the_closed_form(large_variance: bool) -> None:
    config = ddim_edge.DdpmConfig(clip_denoised_sample=False, large_variance=large_variance)
    generator = np.random.default_rng(1)
    shape = (8_000, 1, 1, 1)

    def noise() -> gaussian.Sample:
        return generator.standard_normal(shape, np.float32)

    result = gaussian.run(config, 100, noise(), noise).astype(np.float64)
    mean, variance = moments(config, 100)
    # Five standard errors of a mean and of a variance.
    assert result.mean() == pytest.approx(mean, abs=5 * (variance / shape[0]) ** 0.5)
    assert result.var() == pytest.approx(variance, abs=5 * variance * (2 / shape[0]) ** 0.5)


def moments(config: ddim_edge.DdpmConfig, num_steps: int) -> tuple[float, float]:
    """Mean and variance of x_0 from N(0, 1) through eq. 6 and 7 of Ho et al. 2020, with E[x_0 | x_t]."""
    levels = schedule_of(config, num_steps).levels.alpha_bars.tolist()
    mean, variance = 0.0, 1.0
    for bar, then in zip(levels, [*levels[1:], 1.0], strict=True):
        beta = 1 - bar / then
        from_x0, from_x = then**0.5 * beta / (1 - bar), (1 - beta) ** 0.5 * (1 - then) / (1 - bar)
        gain = bar**0.5 * gaussian.DEVIATION**2 / gaussian.variance(bar)
        added = beta if config.large_variance else beta * (1 - then) / (1 - bar)
        mean = from_x * mean + from_x0 * (gaussian.MEAN + gain * (mean - bar**0.5 * gaussian.MEAN))
        variance = (from_x + from_x0 * gain) ** 2 * variance + (added if then < 1 else 0.0)
    return mean, variance


def test_the_last_step_adds_no_noise() -> None:
    calls: list[int] = []

    def noise() -> gaussian.Sample:
        calls.append(1)
        return np.zeros((2, 1, 4, 4), np.float32)

    gaussian.run(ddim_edge.DdpmConfig(timestep_spacing="trailing", large_variance=True), 10, noise(), noise)
    assert len(calls) == 1 + 9


class TestALearnedVariance:
    SHAPE = (2, 3, 4, 4)

    def run(self, config: ddim_edge.DdpmConfig, values: float | None = None) -> gaussian.Sample:
        """Ten steps with the perfect network, which says ``values`` of the variance."""
        generator = np.random.default_rng(2)
        start = generator.standard_normal(self.SHAPE, np.float32)
        sampler = ddim_edge.start(config, 10, start, lambda: generator.standard_normal(self.SHAPE, np.float32))
        query = next(sampler)
        for bar in schedule_of(config, 10).levels.alpha_bars.tolist():
            answer = gaussian.prediction("noise", bar, query.sample)
            if values is not None:
                answer = np.concatenate([answer, np.full_like(answer, values)], axis=1)
            try:
                query = sampler.send(answer)
            except StopIteration as end:
                result: gaussian.Sample = end.value
        return result

    @pytest.mark.parametrize(("value", "large_variance"), [(-1.0, False), (1.0, True)])
    def test_its_ends_are_the_small_and_the_large_one(self, value: float, large_variance: bool) -> None:
        learned = self.run(ddim_edge.DdpmConfig(variance="learned_range"), value)
        fixed = self.run(ddim_edge.DdpmConfig(large_variance=large_variance))
        np.testing.assert_allclose(learned, fixed, rtol=1e-5, atol=1e-6)

    def test_between_them_it_is_their_geometric_mean(self) -> None:
        schedule = schedule_of(ddim_edge.DdpmConfig(variance="learned_range"), 10)
        assert isinstance(schedule, DdpmSchedule)
        for row in schedule.rows[:-1]:
            small, middle, large = schedule.sigma(row, np.array([-1, 0, 1], np.float32))
            assert small < middle < large
            assert middle == pytest.approx(float(np.sqrt(small * large)), rel=1e-5)

    def test_a_variance_of_nothing_adds_no_noise(self) -> None:
        first, again = (self.run(ddim_edge.DdpmConfig(variance="learned"), 0.0) for _ in range(2))
        np.testing.assert_array_equal(first, again)
        assert (self.run(ddim_edge.DdpmConfig(variance="learned"), 0.1) != first).any()

    def test_a_negative_variance_is_named(self) -> None:
        with pytest.raises(ddim_edge.PredictionError, match=r"a negative variance \(-0.5\).*learned_range"):
            self.run(ddim_edge.DdpmConfig(variance="learned"), -0.5)

    def test_a_prediction_without_one_is_named(self) -> None:
        with pytest.raises(ddim_edge.PredictionError, match="predictions of 6 channels, and the network's have 3"):
            self.run(ddim_edge.DdpmConfig(variance="learned_range"))
