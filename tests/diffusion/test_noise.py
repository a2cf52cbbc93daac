"""Noise from a seed: torch's own numbers, or Philox's."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ddim_edge import ConfigError
from ddim_edge.diffusion.noise import noise_stream

_SHAPES = [
    (1,),
    (2,),
    (7,),
    (15,),
    (16,),
    (17,),
    (31,),
    (32,),
    (3, 5),
    (1, 1, 28, 28),
    (2, 3, 5, 7),
    (4, 64, 64),
    (0,),
    (),
]
_SEEDS = [0, 1, 42, 2**31, 2**32 - 1, 2**32, 2**32 + 5, 2**63 - 1]

shapes = st.lists(st.integers(1, 9), min_size=1, max_size=4).map(tuple)
seeds = st.integers(0, 2**63 - 1)


def check_against_torch(seed: int, draws: list[tuple[int, ...]]) -> None:
    """One stream each, the same draws in the same order."""
    stream, generator = noise_stream(seed), torch.Generator("cpu").manual_seed(seed)
    for shape in draws:
        ours, theirs = stream(shape), torch.randn(shape, generator=generator).numpy()
        assert ours.shape == shape
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-6)


@pytest.mark.parametrize("seed", _SEEDS)
def test_torch_noise_is_torch_randn_for_many_shapes(seed: int) -> None:
    for shape in _SHAPES:
        check_against_torch(seed, [shape])


@pytest.mark.parametrize("seed", _SEEDS)
def test_a_stream_goes_on_as_torch_does_through_short_ragged_and_whole_lengths(seed: int) -> None:
    lengths = [3, 16, 1, 17, 5, 48, 2, 15, 31, 1, 1, 100, 784, 7]
    check_against_torch(seed, [(length,) for length in lengths])


@given(seeds, st.lists(shapes, min_size=1, max_size=6))
def test_torch_noise_is_torch_randn(seed: int, draws: list[tuple[int, ...]]) -> None:
    check_against_torch(seed, draws)


@given(seeds, st.lists(st.integers(1, 40), min_size=1, max_size=12))
def test_any_sequence_of_lengths_is_torch_sequence(seed: int, lengths: list[int]) -> None:
    check_against_torch(seed, [(length,) for length in lengths])


@pytest.mark.parametrize("kind", ["torch", "numpy"])
def test_noise_is_standard_normal(kind: Any) -> None:
    values = noise_stream(5, kind)((200_000,)).astype(np.float64)
    error = 5 / math.sqrt(values.size)
    assert np.all(np.isfinite(values))
    assert values.mean() == pytest.approx(0, abs=error)
    assert np.mean(values**2) == pytest.approx(1, abs=error * math.sqrt(2))
    assert np.mean(values**3) == pytest.approx(0, abs=error * math.sqrt(15))
    assert np.mean(values**4) == pytest.approx(3, abs=error * math.sqrt(96))
    assert np.mean(abs(values) < 1) == pytest.approx(math.erf(1 / math.sqrt(2)), abs=error)
    assert np.mean(values[1:] * values[:-1]) == pytest.approx(0, abs=error)


@pytest.mark.parametrize("kind", ["torch", "numpy"])
def test_a_seed_gives_one_stream_and_the_stream_goes_on(kind: Any) -> None:
    one, again, other = noise_stream(9, kind), noise_stream(9, kind), noise_stream(10, kind)
    first = one((2, 3, 4, 4))
    np.testing.assert_array_equal(again((2, 3, 4, 4)), first)
    assert not np.any(other((2, 3, 4, 4)) == first)
    second = one((2, 3, 4, 4))
    assert not np.any(second == first)
    np.testing.assert_array_equal(again((2, 3, 4, 4)), second)
    assert first.dtype == np.float32


def test_streams_do_not_disturb_each_other_or_the_global_generators() -> None:
    """Interleaved draws are what each stream draws alone, short lengths with their spare value included."""
    alone = []
    for seed in (0, 1, 2):
        stream = noise_stream(seed)
        alone.append([stream((5,)), stream((3,))])
    numpy_before, torch_before = np.random.get_state(legacy=False), torch.get_rng_state()
    streams = [noise_stream(seed) for seed in (0, 1, 2)]
    first = [stream((5,)) for stream in streams]
    second = [stream((3,)) for stream in streams]
    for together, one in zip(zip(first, second, strict=True), alone, strict=True):
        np.testing.assert_array_equal(np.concatenate(together), np.concatenate(one))
    np.testing.assert_equal(np.random.get_state(legacy=False), numpy_before)
    assert torch.equal(torch.get_rng_state(), torch_before)


@pytest.mark.parametrize("seed", [-1, 2**63, 1.5, 1.0, "1", None, True])
@pytest.mark.parametrize("kind", ["torch", "numpy"])
def test_a_seed_that_is_none_is_refused(seed: Any, kind: Any) -> None:
    with pytest.raises(ConfigError, match=rf"the seed must be a whole number from 0 to {2**63 - 1}, not {seed!r}"):
        noise_stream(seed, kind)


def test_a_numpy_integer_is_a_seed() -> None:
    seed: Any = np.int64(4)
    np.testing.assert_array_equal(noise_stream(seed)((20,)), noise_stream(4)((20,)))


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"noise 'torhc' is unknown. Did you mean 'torch'\? Valid: torch, numpy\."):
        noise_stream(0, "torhc")  # type: ignore[arg-type]
