"""What a model folder says of itself."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ddim_edge
from ddim_edge.bundle.read import bundled_folder, open_bundle
from tests.helpers.tiny_bundles import LABELS, NULL_CLASS, tiny_model, write_json

NewBundle = Callable[..., Path]


def test_it_reads_the_folder(tiny_bundle: Path) -> None:
    bundle = open_bundle(tiny_bundle)
    assert (bundle.folder, bundle.name) == (tiny_bundle, str(tiny_bundle))
    assert (bundle.sample_shape, bundle.labels, bundle.null_class) == ((1, 8, 8), LABELS, NULL_CLASS)
    assert bundle.scheduler == ddim_edge.DdimConfig()


@pytest.mark.parametrize(("label", "index"), [("cat", 0), (" DOG ", 1), ("ångström", 2), ("1", 1), (2, 2)])
def test_a_class_is_found_by_name_or_number(tiny_bundle: Path, label: str | int, index: int) -> None:
    assert open_bundle(tiny_bundle).class_index(label) == index


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("dgo", "label 'dgo' is unknown. Did you mean 'dog'"),
        ("zebra", "label 'zebra' is unknown. Valid: cat, dog, Ångström"),
        (3, "label 3 is out of range: .* has the classes 0 to 2"),
        ("-1", "label -1 is out of range"),
        ("--1", "label '--1' is unknown"),
        ("²", "label '²' is unknown"),
        ("9" * 5000, "label '9+[.]{3}9+' is unknown"),
        ("1.0", "label '1.0' is unknown"),
        (True, "label True is unknown"),
    ],
)
def test_a_class_that_is_not_there_is_named(tiny_bundle: Path, label: Any, message: str) -> None:
    with pytest.raises(ddim_edge.ConfigError, match=message):
        open_bundle(tiny_bundle).class_index(label)


def test_names_win_over_numbers(new_bundle: NewBundle) -> None:
    bundle = open_bundle(new_bundle(labels=["2", "1", "0"]))
    assert [bundle.class_index(label) for label in (2, 1, 0)] == [0, 1, 2]


def test_classes_without_names_are_numbers(new_bundle: NewBundle) -> None:
    folder = new_bundle(labels=None)
    write_json(folder / "unet" / "config.json", {"in_channels": 1, "sample_size": 8, "num_class_embeds": 4})
    bundle = open_bundle(folder)
    assert (bundle.labels, bundle.null_class) == (("0", "1", "2", "3"), None)


def test_a_side_or_a_height_and_width(new_bundle: NewBundle) -> None:
    folder = new_bundle()
    write_json(folder / "unet" / "config.json", {"in_channels": 3, "sample_size": [16, 24]})
    assert open_bundle(folder).sample_shape == (3, 16, 24)


def test_the_index_may_be_missing_of_a_network_that_was_exported_alone(new_bundle: NewBundle) -> None:
    folder = new_bundle(tiny_model(classes=False), labels=None)
    (folder / "model_index.json").unlink()
    with pytest.raises(ddim_edge.BundleError, match=r"has no model_index\.json, which is written last"):
        open_bundle(folder)
    write_json(folder / "export.json", {"network": "Network", "files": {}})
    assert ddim_edge.load(folder, "cpu").generate(num_steps=1).images.shape == (1, 8, 8, 1)


def test_an_export_that_was_interrupted_before_its_last_file_is_no_bundle(new_bundle: NewBundle) -> None:
    folder = new_bundle()
    write_json(folder / "export.json", {"source": "diffusers", "files": {"unet/model.onnx": {"sha256": "0"}}})
    (folder / "model_index.json").rename(folder / "model_index.json.part")
    with pytest.raises(ddim_edge.BundleError, match=r"has no model_index\.json.*interrupted. Run it again"):
        open_bundle(folder)


def test_an_unfinished_export_is_refused_even_with_an_index(new_bundle: NewBundle) -> None:
    folder = new_bundle()
    write_json(folder / "export.json", {"unfinished": "run the same export again"})
    with pytest.raises(ddim_edge.BundleError, match="is unfinished: run the same export again"):
        open_bundle(folder)


BETAS = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}


def test_a_model_whose_scheduler_is_not_built_runs_with_another_sampler(new_bundle: NewBundle) -> None:
    keys = {"_class_name": "SASolverScheduler", **BETAS, "prediction_type": "v_prediction"}
    pipeline = ddim_edge.load(new_bundle(tiny_model(classes=False), labels=None, scheduler=keys), "cpu")
    with pytest.raises(ddim_edge.ConfigError, match=r"'SASolverScheduler' is known, but not built here.*such as ddim"):
        pipeline.request()
    config = pipeline.request(sampler="ddim").sampler
    assert config == ddim_edge.DdimConfig(
        beta_schedule="quadratic",
        beta_start=0.00085,
        beta_end=0.012,
        prediction_type="angular_velocity",
        clip_denoised_sample=False,
    )
    assert pipeline.generate(sampler="euler", num_steps=2).images.shape == (1, 8, 8, 1)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"_class_name": "UniPCMultistepScheduler", **BETAS, "use_flow_sigmas": True}, "is one of flow matching"),
        (
            {"_class_name": "DEISMultistepScheduler", **BETAS, "prediction_type": "flow_prediction"},
            "is one of flow matching",
        ),
        ({"_class_name": "CogVideoXDDIMScheduler", **BETAS, "snr_shift_scale": 3.0}, "is known, but not built here"),
        ({"_class_name": "TCDScheduler", **BETAS, "beta_start": 1e-17}, r"beta_start must be a number from 1e-09"),
    ],
)
def test_a_scheduler_that_no_sampler_follows_is_refused(
    new_bundle: NewBundle, keys: dict[str, Any], message: str
) -> None:
    with pytest.raises(ddim_edge.BundleError, match=message):
        open_bundle(new_bundle(scheduler=keys))


def test_the_bundled_model_is_found_by_name() -> None:
    bundle = open_bundle("fashion-mnist")
    assert bundle.name == "fashion-mnist"
    assert len(bundle.labels) == 10
    assert bundle.null_class is not None


def test_the_hash_is_that_of_the_weights_alone(new_bundle: NewBundle) -> None:
    folder = new_bundle()
    before = open_bundle(folder).sha256
    index = json.loads((folder / "model_index.json").read_text())
    write_json(folder / "model_index.json", {**index, "note": "x"})
    assert open_bundle(folder).sha256 == before
    graph = folder / "unet" / "model.onnx"
    graph.write_bytes(graph.read_bytes().replace(np.float32(0.5).tobytes(), np.float32(0.25).tobytes()))
    assert open_bundle(folder).sha256 != before


def test_the_bundled_models_files_are_those_that_were_exported() -> None:
    folder = bundled_folder()
    assert folder is not None
    written = json.loads((folder / "fashion-mnist" / "export.json").read_text())["files"]
    for name, said in written.items():
        contents = (folder / "fashion-mnist" / name).read_bytes()
        assert said == {"sha256": hashlib.sha256(contents).hexdigest(), "size": len(contents)}, name
