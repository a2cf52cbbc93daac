"""What a model folder says of itself, and what is said of a folder that is none."""

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


def test_no_such_model_lists_the_bundled_ones(tmp_path: Path) -> None:
    with pytest.raises(
        ddim_edge.BundleError, match=r"no model 'fashion-mnits'.*the bundled models are .*fashion-mnist"
    ):
        open_bundle("fashion-mnits")
    (tmp_path / "file").touch()
    with pytest.raises(ddim_edge.BundleError, match="it is a file, and a model is a folder"):
        open_bundle(tmp_path / "file")


def test_a_folder_without_a_graph(tmp_path: Path) -> None:
    with pytest.raises(ddim_edge.BundleError, match=r"is not a bundle: it has no unet/model\.onnx"):
        open_bundle(tmp_path)
    (tmp_path / "unet").mkdir()
    with pytest.raises(ddim_edge.BundleError, match="make a bundle of it with `ddim-edge export"):
        open_bundle(tmp_path)


@pytest.mark.parametrize("name", ["model_index.json", "unet/config.json", "scheduler/scheduler_config.json"])
@pytest.mark.parametrize("text", [b"{", b"", b"[1]", b"\xff\xfe", b'{"a": 1,}'])
def test_broken_json_is_named(new_bundle: NewBundle, name: str, text: bytes) -> None:
    folder = new_bundle()
    (folder / name).write_bytes(text)
    with pytest.raises(
        ddim_edge.BundleError, match=f"{name.rpartition('/')[2]}.*(is not JSON|must hold a JSON object)"
    ):
        open_bundle(folder)


@pytest.mark.parametrize("name", ["unet/config.json", "scheduler/scheduler_config.json"])
def test_a_missing_file_is_named(new_bundle: NewBundle, name: str) -> None:
    folder = new_bundle()
    (folder / name).unlink()
    with pytest.raises(ddim_edge.BundleError, match=name.rpartition("/")[2]):
        open_bundle(folder)


@pytest.mark.parametrize(
    "config", [{}, {"in_channels": 1}, {"in_channels": "1", "sample_size": 8}, {"in_channels": 1, "sample_size": [8]}]
)
def test_a_config_without_the_sizes_is_named(new_bundle: NewBundle, config: dict[str, Any]) -> None:
    folder = new_bundle()
    write_json(folder / "unet" / "config.json", config)
    with pytest.raises(ddim_edge.BundleError, match="in_channels"):
        open_bundle(folder)


@pytest.mark.parametrize(
    ("key", "value"), [("beta_schedule", "laplace"), ("_class_name", "NoSuchScheduler"), ("beta_start", -1)]
)
def test_a_scheduler_that_cannot_be_honoured_is_named(new_bundle: NewBundle, key: str, value: Any) -> None:
    with pytest.raises(ddim_edge.BundleError, match=rf"scheduler_config\.json: .*{key}"):
        open_bundle(new_bundle(scheduler={key: value}))


@pytest.mark.parametrize("null_class", ["10", True, 1.5])
def test_a_null_class_that_is_no_number_is_named(new_bundle: NewBundle, null_class: Any) -> None:
    with pytest.raises(ddim_edge.BundleError, match=r"model_index\.json: null_class must be a whole number"):
        open_bundle(new_bundle(null_class=null_class))


def test_classes_that_only_one_side_knows_of_are_an_error(new_bundle: NewBundle) -> None:
    with pytest.raises(ddim_edge.BundleError, match=r"takes the conditioning class_labels, .* describe none"):
        ddim_edge.load(new_bundle(labels=None), "cpu")


def test_conditioning_that_is_not_known_here_is_an_error(new_bundle: NewBundle) -> None:
    model = tiny_model()
    model.graph.input[2].name = model.graph.node[2].input[1] = "encoder_hidden_states"
    with pytest.raises(ddim_edge.BundleError, match="takes the conditioning encoder_hidden_states"):
        ddim_edge.load(new_bundle(model), "cpu")


@pytest.mark.parametrize("side", [0, -8, 10**12])
def test_a_size_that_no_image_has(tiny_bundle: Path, side: int) -> None:
    with pytest.raises(ddim_edge.ConfigError, match="width must be from 1 to 16384"):
        open_bundle(tiny_bundle).image_shape(8, side)


def test_a_class_whose_name_no_file_can_hold(new_bundle: NewBundle) -> None:
    folder = new_bundle(labels=["cat", "\ud800"], null_class=None)
    with pytest.raises(ddim_edge.BundleError, match=r"id2label\['1'\] must be text in UTF-8, not"):
        open_bundle(folder)


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


def test_the_name_of_a_repository_is_answered_with_the_commands_that_get_it() -> None:
    with pytest.raises(ddim_edge.BundleError) as caught:
        open_bundle("someone/sd-turbo")
    assert "`hf download someone/sd-turbo --local-dir sd-turbo`" in str(caught.value)
    assert "`ddim-edge export someone/sd-turbo sd-turbo`" in str(caught.value)


@pytest.mark.parametrize("name", ["fashion", "/no/such", "./fashion", "tests/fashion"])
def test_other_names_are_not_taken_for_repositories(name: str) -> None:
    with pytest.raises(ddim_edge.BundleError) as caught:
        open_bundle(name)
    assert "hub" not in str(caught.value)
