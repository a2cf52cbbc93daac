"""Folders that export_folder does not take: one line says why, and nothing is left."""

import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from ddim_edge.errors import ConfigError, DdimEdgeError, ExportError
from ddim_edge_export import export_folder
from tests.helpers.tiny_networks import change

SAFETENSORS = "diffusion_pytorch_model.safetensors"


def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "source"))


def refused(source: Path, tmp_path: Path, kind: type[DdimEdgeError], message: str) -> None:
    """Exporting ``source`` raises one line, and leaves nothing."""
    out = tmp_path / "place" / "out"
    out.parent.mkdir()
    with pytest.raises(kind, match=message) as caught:
        export_folder(source, out, assume_ddim=not (source / "model_index.json").exists())
    assert "\n" not in str(caught.value)
    assert list(out.parent.iterdir()) == []


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    refused(tmp_path / "nowhere", tmp_path, ConfigError, "there is no folder .*nowhere: give a folder that diffusers")


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    refused(tmp_path / "source", tmp_path, ConfigError, r"has neither config\.json .* nor model_index\.json")


def test_a_pipeline_with_a_component_that_is_unknown(pipeline_folder: Path, tmp_path: Path) -> None:
    source = copy(pipeline_folder, tmp_path)
    change(source / "model_index.json", prior=["diffusers", "PriorTransformer"])
    message = "has the component 'prior', a 'PriorTransformer', which is not supported; .* with --components"
    refused(source, tmp_path, ConfigError, message)


def test_a_pipeline_without_a_unet(pipeline_folder: Path, tmp_path: Path) -> None:
    source = copy(pipeline_folder, tmp_path)
    change(source / "model_index.json", unet=[None, None])
    refused(
        source,
        tmp_path,
        ConfigError,
        "has no unet and no transformer: nothing can be sampled; give that of a whole pipeline",
    )


def test_a_bundle(tmp_path: Path) -> None:
    source = Path(__file__).parents[2] / "models" / "fashion-mnist"
    refused(source, tmp_path, ConfigError, "`ddim-edge run .*fashion-mnist` runs it as it is")


def test_a_component_of_another_class(pipeline_folder: Path, tmp_path: Path) -> None:
    source = copy(pipeline_folder, tmp_path)
    change(source / "unet" / "config.json", _class_name="UNet1DModel")
    refused(source, tmp_path, ConfigError, "has a UNet1DModel; supported there: UNet2DModel, UNet2DConditionModel")


def test_another_network(unet_folder: Path, tmp_path: Path) -> None:
    source = copy(unet_folder, tmp_path)
    change(source / "config.json", _class_name="UNet2DConditionModel")
    refused(
        source, tmp_path, ConfigError, "has a UNet2DConditionModel; a network outside a pipeline must be a UNet2DModel"
    )


def test_another_kind_of_class_embedding(unet_folder: Path, tmp_path: Path) -> None:
    source = copy(unet_folder, tmp_path)
    change(source / "config.json", class_embed_type="projection")
    refused(source, tmp_path, ConfigError, "class_embed_type 'projection' is not supported")


def test_a_pipeline_without_a_scheduler(pipeline_folder: Path, tmp_path: Path) -> None:
    source = copy(pipeline_folder, tmp_path)
    (source / "scheduler" / "scheduler_config.json").unlink()
    refused(
        source,
        tmp_path,
        ConfigError,
        r"there is no .*scheduler_config\.json, so the noise schedule .* --scheduler FILE .* or --assume-ddim",
    )


def test_a_config_that_is_not_json(unet_folder: Path, tmp_path: Path) -> None:
    source = copy(unet_folder, tmp_path)
    (source / "config.json").write_text("{")
    refused(source, tmp_path, ConfigError, r"config\.json is not JSON")


def test_no_weights_but_pickled_ones(unet_folder: Path, tmp_path: Path) -> None:
    source = copy(unet_folder, tmp_path)
    (source / SAFETENSORS).rename(source / "diffusion_pytorch_model.bin")
    refused(
        source, tmp_path, ConfigError, "has no weights in safetensors, only pickled ones: .*safe_serialization=True"
    )


def test_a_truncated_weights_file(unet_folder: Path, tmp_path: Path) -> None:
    source = copy(unet_folder, tmp_path)
    weights = (source / SAFETENSORS).read_bytes()
    (source / SAFETENSORS).write_bytes(weights[: len(weights) // 2])
    refused(source, tmp_path, ExportError, "diffusers cannot load .*source")


def test_a_weight_that_is_missing(unet_folder: Path, tmp_path: Path) -> None:
    source = copy(unet_folder, tmp_path)
    weights = load_file(source / SAFETENSORS)
    del weights["conv_in.bias"]
    save_file(weights, source / SAFETENSORS)
    refused(source, tmp_path, ExportError, r"lacks 1 of the network's weights, conv_in\.bias among them")


def test_a_weight_of_another_shape(unet_folder: Path, tmp_path: Path) -> None:
    source = copy(unet_folder, tmp_path)
    change(source / "config.json", in_channels=2, out_channels=2)
    refused(source, tmp_path, ExportError, "diffusers cannot load .*source")


def test_a_place_that_is_taken(unet_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("mine")
    with pytest.raises(ConfigError, match="is there already and is not empty"):
        export_folder(unet_folder, tmp_path / "out", assume_ddim=True)
    with pytest.raises(ConfigError, match="is there already and is not a folder"):
        export_folder(unet_folder, tmp_path / "out" / "mine", assume_ddim=True)
    assert [path.read_text() for path in (tmp_path / "out").iterdir()] == ["mine"]
