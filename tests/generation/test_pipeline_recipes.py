"""Requests and recipes of a pipeline as JSON, and what is refused of spoilt ones or of files that were replaced."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ddim_edge
from ddim_edge.bundle.read import open_bundle
from ddim_edge.files import write_file
from ddim_edge.generation.requests.request import Request
from tests.helpers.hashing import hold_reading, keep_all_hashes
from tests.helpers.tiny_bundles import write_bundle


@pytest.fixture(scope="module")
def pipeline(tiny_bundle: Path) -> ddim_edge.Pipeline:
    return ddim_edge.load(tiny_bundle, "cpu")


@pytest.mark.parametrize("labels", [(), (4,), (-1,), ("dog",), (True,)])
def test_a_request_made_elsewhere_is_checked_against_the_model(pipeline: ddim_edge.Pipeline, labels: Any) -> None:
    with pytest.raises(ddim_edge.ConfigError, match=r"label|classes"):
        pipeline.check(Request(num_images=1, labels=labels, sampler=ddim_edge.DdimConfig()))


def test_a_request_survives_json(pipeline: ddim_edge.Pipeline) -> None:
    own = ddim_edge.DdimConfig(num_train_steps=3, trained_betas=(0.1, 0.2, 0.3), eta=0.5, timestep_spacing="linspace")
    request = pipeline.request(labels=["dog"], num_images=9, num_steps=3, seed=4, sampler=own, guidance_scale=2.0)
    assert Request.from_json(request.to_json()) == request
    assert Request.from_json(pipeline.recipe(request)) == request


@pytest.mark.parametrize(
    "change", [{"labels": 3}, {"sampler": []}, {"sampler": {"etta": 1}}, {"seed": "0"}, {"num_steps": None}]
)
def test_a_spoilt_recipe_is_a_config_error(pipeline: ddim_edge.Pipeline, change: dict[str, Any]) -> None:
    values = pipeline.request().to_json() | change
    with pytest.raises(ddim_edge.ConfigError):
        Request.from_json(values)
    for missing in values:
        with pytest.raises(ddim_edge.ConfigError, match="the recipe is incomplete or of another version"):
            Request.from_json({key: value for key, value in pipeline.request().to_json().items() if key != missing})


def test_the_recipe_says_everything(pipeline: ddim_edge.Pipeline) -> None:
    result = pipeline.generate(labels=["dog"], num_steps=2, eta=0.5, seed=3, guidance_scale=2.0)
    assert result.recipe == {
        "model": pipeline.bundle.name,
        "model_sha256": pipeline.bundle.sha256,
        "version": ddim_edge.__version__,
        "label_names": ["dog"],
        "eta": 0.5,
        "num_images": 1,
        "labels": [1],
        "num_steps": 2,
        "seed": 3,
        "noise": "torch",
        "guidance_scale": 2.0,
        "batch_size": 16,
        "sampler": {"name": "ddim", "eta": 0.5},
    }


def test_a_recipe_never_names_a_file_that_was_replaced_after_the_model_was_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_bundle(tmp_path / "bundle", external=True)
    early = ddim_edge.load(folder, "cpu")
    right = open_bundle(folder).sha256
    keep_all_hashes(monkeypatch, tmp_path / "cache")
    goes_on = hold_reading(monkeypatch)
    pipeline = ddim_edge.load(folder, "cpu")  # while its files are still being read for their hash
    data = folder / "unet" / "model.onnx_data"
    write_file(data, bytes(data.stat().st_size))
    goes_on.set()
    with pytest.raises(ddim_edge.BundleError, match=r"model\.onnx_data was replaced after the model was opened"):
        pipeline.generate(num_steps=2)
    assert early.generate(num_steps=2).recipe["model_sha256"] == right
    assert ddim_edge.load(folder, "cpu").generate(num_steps=2).recipe["model_sha256"] != right


def test_with_low_memory_a_replaced_file_is_not_opened_again(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "bundle")
    pipeline = ddim_edge.load(folder, "cpu", low_memory=True)
    assert pipeline.bundle.sha256
    graph = folder / "unet" / "model.onnx"
    write_file(graph, graph.read_bytes())
    with pytest.raises(ddim_edge.BundleError, match="was replaced after the model was opened: open the model again"):
        pipeline.generate(num_steps=2)


def test_images_of_weights_that_were_overwritten_under_an_open_model_are_refused(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "bundle", external=True)
    pipeline = ddim_edge.load(folder, "cpu")
    wanted = pipeline.generate(num_steps=2).images
    data = folder / "unet" / "model.onnx_data"
    contents = data.read_bytes()
    write_file(data, bytes(len(contents)))  # another file: the open one stays as it is
    np.testing.assert_array_equal(pipeline.generate(num_steps=2).images, wanted)
    write_file(data, contents)
    pipeline = ddim_edge.load(folder, "cpu")
    pipeline.generate(num_steps=2)
    data.write_bytes(bytes(len(contents)))
    with pytest.raises(ddim_edge.BundleError, match=r"model\.onnx_data was overwritten while the model was open"):
        pipeline.generate(num_steps=2)
