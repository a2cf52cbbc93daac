"""What is said of a model folder that is broken, or that is none."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import ddim_edge
from ddim_edge.bundle.read import open_bundle
from tests.helpers.tiny_bundles import tiny_model, write_json

NewBundle = Callable[..., Path]


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
