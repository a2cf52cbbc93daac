"""Sums in kept memory: the same bits as sums that are made anew."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ddim_edge import UnipcConfig
from ddim_edge.diffusion.samplers.levels import ode_levels_of
from ddim_edge.diffusion.samplers.query import Sampler
from ddim_edge.diffusion.samplers.unipc import Row, UnipcSchedule, unipc
from ddim_edge.diffusion.samplers.unipc_weights import Sums, folded, unipc_weights
from ddim_edge.diffusion.samplers.weights import CACHE_LINE, Weights, added, aligned_like, weighted_sum

Floats = NDArray[np.floating]
SHAPE = (1, 3, 5, 7)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_memory_begins_at_cache_lines_and_is_apart(dtype: Any) -> None:
    arrays = aligned_like(np.zeros(SHAPE, dtype), 3)
    for number, array in enumerate(arrays):
        array[...] = number
        assert array.__array_interface__["data"][0] % CACHE_LINE == 0
        assert array.shape == SHAPE
        assert array.dtype == np.dtype(dtype)
    assert [float(array.max()) for array in arrays] == [float(array.min()) for array in arrays] == [0.0, 1.0, 2.0]


def test_a_sum_that_was_begun_has_the_bits_of_a_whole_one() -> None:
    base, *terms = np.random.default_rng(0).standard_normal((4, *SHAPE), np.float32)
    product, kept = aligned_like(base, 2)
    weights: Weights = (1.7, -0.3, 0.0, 1e-3)
    whole = weighted_sum(weights, base, *terms)
    np.multiply(base, weights[0], out=kept)
    np.testing.assert_array_equal(added(kept, weights[1:], terms[0], None, terms[2], product=product), whole)
    into = added(kept, weights[1:], *terms, into=kept, product=product)
    assert into is kept
    np.testing.assert_array_equal(into, whole)


@pytest.mark.parametrize("config", [UnipcConfig(solver_order=1), UnipcConfig(), UnipcConfig(disable_corrector=(0, 2))])
def test_unipcs_steps_have_the_bits_of_their_two_sums(config: UnipcConfig) -> None:
    """Pictures of earlier versions are made again to the bit."""
    begin = np.random.default_rng(1).standard_normal(SHAPE, np.float32)
    schedule = UnipcSchedule(config, 9)
    sums = unipc_weights(config, ode_levels_of(config, 9).levels)
    ours, plain = ending(unipc(schedule, begin)), two_sums(schedule, sums, begin)
    np.testing.assert_array_equal(ours, plain)


def two_sums(schedule: UnipcSchedule, sums: list[Sums], start: Floats) -> Floats:
    """UniPC as its paper writes it, every sum made anew."""
    sample, before, latest = start, 1.0, list[Floats]()
    depth = len(sums[0].predict)
    for row, (keep, predict, correct) in zip(schedule.rows, sums, strict=True):
        x_0 = weighted_sum(row.x0, sample, network(sample, row.timestep))
        if correct:
            terms = [*latest, *[None] * (depth - len(latest))]
            start = weighted_sum((before, *correct), start, *terms, x_0)
        latest, before = [x_0, *latest[: depth - 1]], keep
        used = (keep, *predict[: len(latest)])
        sample = weighted_sum(used, start, *latest)
    return sample


@pytest.mark.parametrize("order", [1, 2, 3])
def test_a_step_that_is_folded_into_one_sum_is_the_same_step(order: int) -> None:
    config = UnipcConfig(solver_order=order, disable_corrector=(3,))
    begin: Any = np.random.default_rng(1).standard_normal(SHAPE)
    two, one = UnipcSchedule(config.replace(solver_order=2), 12), UnipcSchedule(config.replace(solver_order=2), 12)
    sums = unipc_weights(config, ode_levels_of(config, 12).levels)
    for schedule, weights in ((two, sums), (one, folded(sums))):
        schedule.rows = [Row(*row[:3], *call) for row, call in zip(schedule.rows, weights, strict=True)]
        schedule.depth = len(weights[0].predict)
    exact, ours = (ending(unipc(schedule, begin)) for schedule in (two, one))
    np.testing.assert_allclose(ours, exact, rtol=1e-9, atol=1e-9)


def network(sample: Floats, timestep: float) -> Floats:
    answer: Floats = np.tanh(sample * sample.dtype.type(0.7) + sample.dtype.type(0.001 * timestep))
    return answer


def ending(sampler: Sampler) -> Floats:
    query = next(sampler)
    while True:
        try:
            query = sampler.send(network(query.sample, query.timestep))
        except StopIteration as end:
            result: Floats = end.value
            return result
