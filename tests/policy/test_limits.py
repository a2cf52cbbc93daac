"""Actions that must not reach a motor."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ddim_edge
from ddim_edge.bundle.policy_config import PolicyConfig
from ddim_edge.policy.limits import Limits
from tests.helpers.array_bundles import array_model
from tests.helpers.policy_bundles import SCHEDULER, STATE, observation, policy_json, write_policy
from tests.helpers.tiny_bundles import write_json

_FAR = {**observation(), STATE: [1000.0, 0.0, 0.0]}
_UNCLIPPED = {**SCHEDULER, "clip_sample": False}


def _config(folder: Path, **normalization: Any) -> PolicyConfig:
    action = {**policy_json()["action"], "normalization": normalization}
    write_json(folder / "policy.json", policy_json(action=action))
    return PolicyConfig.read(folder)


def test_actions_beyond_the_trained_range_are_an_error_and_not_clipped(tmp_path: Path) -> None:
    folder = write_policy(tmp_path / "wild", scheduler=_UNCLIPPED)
    policy = ddim_edge.load_policy(folder, "cpu", warm_up=False)
    message = r"action 0 has (x|grip) = .* mm, outside of \[.*\], the trained range widened by 1.5: it was not returned"
    with pytest.raises(ddim_edge.ActionError, match=message):
        policy.act(_FAR)
    assert issubclass(ddim_edge.ActionError, ddim_edge.PredictionError)
    policy = ddim_edge.load_policy(folder, "cpu", warm_up=False, range_factor=1e6)
    assert np.abs(policy.act(_FAR)).max() > 30


def test_a_network_that_returns_nan_is_an_error(tmp_path: Path) -> None:
    model = array_model((8, 2), condition=10)
    model.graph.initializer[0].float_data[:] = [float("nan")]
    policy = ddim_edge.load_policy(write_policy(tmp_path / "ill", unet=model), "cpu", warm_up=False)
    with pytest.raises(ddim_edge.PredictionError, match="unet returned NaN or infinity at network call 1"):
        policy.act(observation())


def test_the_range_is_widened_about_its_middle(tmp_path: Path) -> None:
    limits = Limits(_config(tmp_path, mode="min_max", min=[-2, 10], max=[2, 30]), 1.5)
    np.testing.assert_allclose([limits.low, limits.high], [[-3, 5], [3, 35]], atol=1e-4)
    limits.check(np.float32([[2.9, 34.9], [-2.9, 5.1]]))
    for wrong in ([3.1, 20], [0, 4.9], [np.nan, 20], [np.inf, 20]):
        with pytest.raises(ddim_edge.ActionError, match="action 1 has"):
            limits.check(np.float32([[0, 20], wrong]))


def test_without_min_and_max_the_range_is_four_deviations(tmp_path: Path) -> None:
    limits = Limits(_config(tmp_path, mode="mean_std", mean=[1, 0], std=[0.5, 2]), 1.0)
    np.testing.assert_allclose([limits.low, limits.high], [[-1, -8], [3, 8]], atol=1e-4)


def test_the_datas_own_range_is_taken_where_it_is_there(tmp_path: Path) -> None:
    given: dict[str, Any] = {"mean": [1, 0], "std": [0.5, 2], "min": [0, -1], "max": [2, 1]}
    limits = Limits(_config(tmp_path, mode="mean_std", **given), 1.0)
    np.testing.assert_allclose([limits.low, limits.high], [[0, -1], [2, 1]], atol=1e-4)


def test_an_unknown_range_refuses_what_is_not_finite(tmp_path: Path) -> None:
    limits = Limits(_config(tmp_path), 1.0)
    limits.check(np.float32([[1e30, 0]]))
    with pytest.raises(ddim_edge.ActionError):
        limits.check(np.float32([[np.inf, 0]]))


def test_a_value_that_never_changed_in_training_has_room_for_rounding(tmp_path: Path) -> None:
    limits = Limits(_config(tmp_path, mode="min_max", min=[0, 5], max=[1, 5]), 1.0)
    limits.check(np.float32([[0.5, 5.000001]]))
    with pytest.raises(ddim_edge.ActionError, match=r"grip = 5\.1"):
        limits.check(np.float32([[0.5, 5.1]]))


@pytest.mark.parametrize("factor", [0.9, 0, -1, float("nan")])
def test_a_factor_below_one_is_refused(tmp_path: Path, factor: float) -> None:
    with pytest.raises(ddim_edge.ConfigError, match="range_factor must be 1 or more"):
        Limits(_config(tmp_path), factor)
