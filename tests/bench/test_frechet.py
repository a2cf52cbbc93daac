"""The Fréchet distance against closed forms."""

import numpy as np
import pytest

from bench.quality.frechet import Gaussian, frechet_distance


def _rotation(size: int) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(1).standard_normal((size, size)))[0]


def test_one_dimension_is_the_difference_of_means_and_of_deviations_squared() -> None:
    first = Gaussian(np.array([1.0]), np.array([[4.0]]))
    second = Gaussian(np.array([-2.0]), np.array([[25.0]]))
    assert frechet_distance(first, second) == pytest.approx(3**2 + (5 - 2) ** 2)


def test_covariances_that_share_axes() -> None:
    axes, mean = _rotation(6), np.arange(6.0)
    deviations, others = np.arange(1.0, 7.0), np.array([2.0, 2.0, 0.0, 9.0, 0.5, 6.0])
    first = Gaussian(mean, axes @ np.diag(deviations**2) @ axes.T)
    second = Gaussian(mean + 1, axes @ np.diag(others**2) @ axes.T)
    assert frechet_distance(first, second) == pytest.approx(6 + np.square(deviations - others).sum())


def test_covariances_that_do_not_commute() -> None:
    # tr (C1 C2)^½ of 2x2 matrices is sqrt(tr(C1 C2) + 2 sqrt(det C1 det C2)).
    first = Gaussian(np.zeros(2), np.array([[2.0, 1.0], [1.0, 3.0]]))
    second = Gaussian(np.zeros(2), np.array([[5.0, -1.0], [-1.0, 1.0]]))
    product = first.covariance @ second.covariance
    root_trace = np.sqrt(np.trace(product) + 2 * np.sqrt(np.linalg.det(product)))
    assert frechet_distance(first, second) == pytest.approx(5 + 6 - 2 * root_trace)


def test_a_set_is_at_no_distance_from_itself_and_the_distance_is_symmetric() -> None:
    random = np.random.default_rng(0)
    first = Gaussian.fit(random.standard_normal((300, 8), np.float32))
    second = Gaussian.fit(random.standard_normal((300, 8), np.float32) @ _rotation(8) * 2 + 1)
    assert frechet_distance(first, first) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(first, second) == pytest.approx(frechet_distance(second, first))
    assert frechet_distance(first, second) > 1


def test_fit_is_the_mean_and_the_unbiased_covariance() -> None:
    gaussian = Gaussian.fit(np.array([[0.0, 0.0], [2.0, 4.0]], np.float32))
    np.testing.assert_allclose(gaussian.mean, [1, 2])
    np.testing.assert_allclose(gaussian.covariance, [[2, 4], [4, 8]])
