"""Statistics that normalize as LeRobot does."""

from typing import Any

import numpy as np
import pytest

from ddim_edge.bundle.policy_statistics import Statistics

_VALUES = np.float32([[0.5, -2, 7], [3, 0, 7]])


def _read(**keys: Any) -> Statistics:
    return Statistics.read(keys, (3,), "here")


def test_mean_and_std() -> None:
    statistics = _read(mode="mean_std", mean=[1, 2, 7], std=[0.5, 4, 0])
    normalized = statistics.normalized(_VALUES)
    np.testing.assert_allclose(normalized, [[-1, -1, 0], [4, -0.5, 0]], rtol=1e-6)
    np.testing.assert_allclose(statistics.restored(normalized), _VALUES, rtol=1e-6)
    assert normalized.dtype == statistics.restored(normalized).dtype == np.float32


def test_min_and_max() -> None:
    statistics = _read(mode="min_max", min=[0, -2, 7], max=[4, 2, 7])
    normalized = statistics.normalized(_VALUES)
    np.testing.assert_allclose(normalized, [[-0.75, -1, -1], [0.5, 0, -1]], rtol=1e-6)
    np.testing.assert_allclose(statistics.restored(normalized), _VALUES, rtol=1e-6)


def test_identity_leaves_values_as_they_are() -> None:
    assert _read().normalized(_VALUES) is _VALUES
    assert _read().restored(_VALUES) is _VALUES
    assert _read().trained is None


def test_an_image_has_statistics_of_its_channels() -> None:
    keys = {"mode": "mean_std", "mean": [[[0.5]], [[0.2]], [[0]]], "std": [[[0.5]], [[0.1]], [[1]]]}
    statistics = Statistics.read(keys, (3, 4, 5), "here")
    normalized = statistics.normalized(np.full((3, 4, 5), 0.5, np.float32))
    np.testing.assert_allclose(normalized[:, 0, 0], [0, 3, 0.5], rtol=1e-6)


@pytest.mark.parametrize("shape", [(2,), (3, 1), (4, 3)])
def test_statistics_must_broadcast_to_the_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"here's mean must be numbers for the shape|finite numbers for the shape"):
        _read(mode="mean_std", mean=np.zeros(shape).tolist(), std=1)
