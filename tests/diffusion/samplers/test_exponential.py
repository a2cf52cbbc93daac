"""The weights of exponential integrators against the integrals that they stand for."""

import numpy as np
import pytest

from ddim_edge.diffusion.samplers.exponential import block_shares, corrections, multistep_shares

NODES, WEIGHTS = np.polynomial.legendre.leggauss(40)
LENGTHS = [1e-9, 1e-5, 0.0099, 0.3, 2.0, 8.0, -0.3, -2.0]


def mean_power(length: float, power: int) -> float:
    """∫ e^-(h-u)·(u/h)^k du over ∫ e^-(h-u) du, from 0 to h."""
    places = (NODES + 1) / 2
    decay = WEIGHTS * np.exp(-length * (1 - places))
    return float(np.sum(decay * places**power) / np.sum(decay))


@pytest.mark.parametrize("length", LENGTHS)
def test_the_corrections_are_moments_of_the_decay(length: float) -> None:
    c_1, c_2 = corrections(length)
    assert c_1 == pytest.approx(mean_power(length, 1), rel=1e-6)
    assert 2 * c_2 == pytest.approx(mean_power(length, 2), rel=1e-5)


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("power", [0, 1, 2])
def test_the_whole_parabola_is_integrated_exactly(length: float, power: int) -> None:
    c_1, c_2 = corrections(length)
    behind = np.dot(multistep_shares(2.0, [1.5, 0.7], c_1, 2 * c_2), np.array([0.0, -0.75, -1.1]) ** power)
    block = np.dot(block_shares([0.8, 0.3], c_1, c_2), np.array([0.8, 0.3, 0.0]) ** power)
    assert behind == pytest.approx(mean_power(length, power), rel=1e-5)
    assert block == pytest.approx(mean_power(length, power), rel=1e-5)


def test_lower_orders_use_fewer_predictions() -> None:
    assert multistep_shares(1.0, [], 0.5, 0.1) == (1.0, 0.0, 0.0)
    assert multistep_shares(1.0, [2.0], 0.5, 0.1) == pytest.approx((1.25, -0.25, 0.0))
    assert block_shares([], 0.5, 0.1) == (1.0, 0.0, 0.0)
    assert block_shares([0.5], 0.5, 0.1) == pytest.approx((1.0, 0.0, 0.0))
