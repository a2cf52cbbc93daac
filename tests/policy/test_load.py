"""Folders that are no policies, or broken ones."""

import os
import shutil
from pathlib import Path
from typing import Any

import onnx
import pytest

import ddim_edge
from tests.helpers.array_bundles import array_model
from tests.helpers.policy_bundles import GOAL, STATE, encoder_model, policy_json, write_policy


def _load(folder: str | os.PathLike[str], **options: Any) -> ddim_edge.Policy:
    return ddim_edge.load_policy(folder, "cpu", warm_up=False, **options)


def test_another_bundle_is_no_policy(tiny_bundle: Path) -> None:
    with pytest.raises(ddim_edge.BundleError, match=r"has no policy\.json, so it is not a policy"):
        _load(tiny_bundle)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"horizon": 16}, r"unet's input .* does not take a chunk of 16 actions of 2 values"),
        ({"n_obs_steps": 1}, "does not take 1 observations"),
        ({"n_action_steps": 8}, "horizon must be at least n_obs_steps - 1 \\+ n_action_steps, which is 9, not 8"),
        ({"observations": {STATE: {"shape": [3]}}}, f"the encoder takes {STATE}, {GOAL}, and policy.json has {STATE}"),
        ({"observations": {}}, "observations must name at least one"),
        ({"n_obs_steps": "2"}, "n_obs_steps must be a whole number"),
        ({"action": None}, "action is missing"),
        ({"action": {"dim": 2, "names": ["x"]}}, "2 values and 1 names"),
        ({"action": {"dim": 2, "normalization": {"mode": "log"}}}, "mode 'log' is unknown"),
        ({"action": {"dim": 2, "normalization": {"mode": "min_max", "min": [0, 0]}}}, "and no max: give it"),
        ({"action": {"dim": 2, "normalization": {"mode": "mean_std", "mean": 0, "std": -1}}}, "0 or more"),
        ({"action": {"dim": 2, "normalization": {"mode": "mean_std", "mean": [0, 0, 0], "std": 1}}}, "shape"),
        ({"action": {"dim": 2, "normalization": {"mode": "mean_std", "mean": "low", "std": 1}}}, "numbers"),
    ],
)
def test_a_wrong_policy_file_is_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    folder = write_policy(tmp_path / "policy", policy=policy_json(**changes))
    with pytest.raises(ddim_edge.BundleError, match=message):
        _load(folder)


def test_an_encoder_must_be_there_and_return_what_the_denoiser_takes(tmp_path: Path) -> None:
    folder = write_policy(tmp_path / "policy", encoder=encoder_model({STATE: [3], GOAL: [2]}, 2, "features"))
    with pytest.raises(ddim_edge.BundleError, match="the encoder returns features, and the unet wants global_cond"):
        _load(folder)
    shutil.rmtree(folder / "encoder")
    with pytest.raises(ddim_edge.BundleError, match=r"has no encoder/model\.onnx"):
        _load(folder)


def test_a_denoiser_of_another_width_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ddim_edge.BundleError, match="global_cond"):
        _load(write_policy(tmp_path / "policy", unet=array_model((8, 2), condition=11)))


def test_the_encoder_is_one_of_the_hashed_files(tmp_path: Path) -> None:
    folder = write_policy(tmp_path / "policy")
    before = _load(folder).bundle.sha256
    graph = folder / "encoder" / "model.onnx"
    model = onnx.load(graph)
    model.doc_string = "another"
    onnx.save(model, graph)
    assert _load(folder).bundle.sha256 != before


@pytest.mark.parametrize("options", [{"min_steps": 0}, {"min_steps": 11}, {"num_steps": 0}, {"seed": -1}])
def test_wrong_options_are_refused(policy_folder: Path, options: dict[str, int]) -> None:
    with pytest.raises(ddim_edge.ConfigError):
        _load(policy_folder, **options)


def test_a_policy_is_warmed_up_unless_asked_otherwise(policy_folder: Path) -> None:
    assert ddim_edge.load_policy(policy_folder, "cpu").times().is_measured
