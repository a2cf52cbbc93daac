"""``ddim-edge inspect`` and ``doctor``: the same facts as text and as JSON."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ddim_edge import providers
from ddim_edge.cli import doctor
from ddim_edge.model_folder import open_bundle
from ddim_edge.runtime import NOT_INSTALLED, installed_packages

from ..conftest import Invoke
from ..tiny_bundles import LABELS, NULL_CLASS, tiny_model


def test_inspect_as_json(invoke: Invoke, tiny_bundle: Path) -> None:
    outcome = invoke("inspect", tiny_bundle, "--json")
    assert (outcome.code, outcome.err, outcome.out.count("\n")) == (0, "", 1)
    facts = json.loads(outcome.out)
    assert facts["sha256"] == open_bundle(tiny_bundle).sha256
    assert (facts["sample_shape"], facts["labels"], facts["null_class"]) == ([1, 8, 8], list(LABELS), NULL_CLASS)
    (graph,) = facts["graphs"]
    assert (graph["name"], graph["bytes"]) == ("unet", (tiny_bundle / "unet" / "model.onnx").stat().st_size)
    assert graph["inputs"] == [
        {"name": "sample", "dtype": "float32", "shape": ["batch", 1, 8, 8]},
        {"name": "timestep", "dtype": "int64", "shape": ["batch"]},
        {"name": "class_labels", "dtype": "int64", "shape": ["batch"]},
    ]
    assert graph["outputs"] == [{"name": "out_sample", "dtype": "float32", "shape": ["batch", 1, 8, 8]}]
    assert facts["scheduler"] == {"sampler": "ddim"}


def test_inspect_as_text(invoke: Invoke, tiny_bundle: Path) -> None:
    text = invoke("inspect", tiny_bundle).out
    for part in (
        str(tiny_bundle),
        "sample  float32 (batch, 1, 8, 8)",
        "timestep  int64 (batch)",
        "out_sample  float32",
        "images of 8x8 pixels, 1 channel\n",
        "classes cat, dog, Ångström; guidance with the null class 3",
        "the network predicts the noise ε",
        "trained on 1000 timesteps, betas linear, visited in leading spacing",
        "eta 0 (deterministic), x_0 clipped to ±1",
    ):
        assert part in text


def test_inspect_says_what_another_scheduler_means(invoke: Invoke, new_bundle: Callable[..., Path]) -> None:
    keys = {"prediction_type": "v_prediction", "thresholding": True, "eta": 0.5, "beta_schedule": "squaredcos_cap_v2"}
    new_bundle(tiny_model(classes=False, half=True), labels=None, scheduler=keys, external=True)
    text = invoke("inspect", "bundle").out
    for part in (
        "sample  float16",
        "classes none; no null class, so no guidance",
        "the network predicts the velocity v",
        "betas squared cosine",
        "eta 0.5 (fresh noise at every step), x_0 thresholded at the quantile 0.995",
    ):
        assert part in text
    facts = json.loads(invoke("inspect", "bundle", "--json").out)
    files = list(Path("bundle/unet").glob("model.onnx*"))
    assert len(files) == 2
    assert facts["graphs"][0]["bytes"] == sum(path.stat().st_size for path in files)


def test_inspect_shows_the_bundled_model_without_an_argument(invoke: Invoke) -> None:
    assert json.loads(invoke("inspect", "--json").out)["model"] == "fashion-mnist"


def test_doctor_as_json(invoke: Invoke) -> None:
    outcome = invoke("doctor", "--json")
    assert (outcome.code, outcome.err, outcome.out.count("\n")) == (0, "", 1)
    facts = json.loads(outcome.out)
    assert set(facts["providers"]) == {provider.name for provider in providers.PROVIDERS}
    assert facts["providers"]["cpu"] is None
    assert facts["onnxruntime"] == installed_packages()
    assert "fashion-mnist" in facts["models"]
    assert "numpy" in facts["packages"]
    if facts["providers"]["openvino"] is not None:
        assert "Remedy: pip install onnxruntime-ep-openvino" in facts["providers"]["openvino"]


def test_doctor_as_text(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    two = {"onnxruntime": "1.32.0", "onnxruntime-gpu": "1.32.0"}
    monkeypatch.setattr(doctor, "installed_packages", lambda: two)
    outcome = invoke("doctor")
    assert outcome.code == 0
    assert f"Python {sys.version.split()[0]}" in outcome.out
    assert "\n  cpu       runs\n" in outcome.out
    assert "problem: onnxruntime and onnxruntime-gpu are both installed and overwrite each other" in outcome.out
    assert "pip uninstall onnxruntime onnxruntime-gpu" in outcome.out


def test_doctor_without_onnxruntime(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setattr(doctor, "installed_packages", dict)
    outcome = invoke("doctor")
    assert outcome.code == 2
    assert f"problem: {NOT_INSTALLED}" in outcome.out
    facts = json.loads(invoke("doctor", "--json").out)
    assert set(facts["providers"].values()) == {NOT_INSTALLED}


def test_doctor_without_a_model_to_try(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "bundled_names", list)
    outcome = invoke("doctor")
    assert outcome.code == 2
    assert "models: none" in outcome.out
    assert "no bundled model to try it with" in outcome.out
