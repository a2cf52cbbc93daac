"""An older bundle in the format of today: its files, its hashes, what interrupts it, and what it leaves alone."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.parser
import pytest
from onnxscript import ir

import ddim_edge
import ddim_edge_export.upgrade
from ddim_edge.bundle.format import FORMAT
from ddim_edge.bundle.read import open_bundle
from ddim_edge.bundle.verify import verify_files
from ddim_edge.errors import BundleError, ConfigError, ExportError
from ddim_edge.graphs.inputs import declared_inputs
from ddim_edge_export.fuse import fuse_bundle
from ddim_edge_export.output.record import hash_files
from ddim_edge_export.step_cache import add_to_bundle
from ddim_edge_export.upgrade import Upgrade, upgrade_bundle, upgrade_copy
from tests.helpers.tiny_bundles import tiny_model, write_bundle, write_json
from tests.helpers.tiny_unet import tiny_unet

KARRAS = {"_class_name": "EulerDiscreteScheduler", "use_karras_sigmas": True}
"""Its timesteps are no whole numbers."""
GRAPHS = ("unet/unet_step.onnx", "unet/shallow.onnx", "unet/model.onnx")


def record(folder: Path, **facts: Any) -> Path:
    """Write the export.json that exports without a number have, of the bundle and of its UNet."""
    unet = {"files": hash_files(folder / "unet"), "network": "UNet"}
    write_json(folder / "unet" / "export.json", {**unet, **facts})
    write_json(folder / "export.json", {"source": "diffusers", "files": hash_files(folder)})
    return folder


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """An older bundle with a fused step and a shallow graph."""
    folder = record(write_bundle(tmp_path / "bundle", tiny_unet(), labels=None, scheduler=KARRAS, external=True))
    add_to_bundle(folder)
    fuse_bundle(folder)
    assert verify_files(folder) == 8
    return folder


def real(folder: Path) -> dict[str, bool]:
    """Which graphs take a timestep that is no whole number."""
    return {name: declared_inputs(folder / name)["timestep"].is_real for name in GRAPHS}


def images(folder: Path, sampler: str = "ddim") -> Any:
    return ddim_edge.load(folder, "cpu").generate(num_images=2, num_steps=5, seed=1, sampler=sampler).images


def test_all_graphs_change_and_pictures_of_whole_timesteps_stay(whole: Path) -> None:
    before = images(whole)
    untouched = {name: (whole / name).read_bytes() for name in ("unet/model.onnx_data", "unet/config.json")}
    assert upgrade_bundle(whole) == Upgrade(format_before=1, format=FORMAT, changed=GRAPHS, left=())
    assert real(whole) == dict.fromkeys(GRAPHS, True)
    assert verify_files(whole) == 8
    assert verify_files(whole / "unet") == 5
    contents = json.loads((whole / "export.json").read_text())
    assert (contents["format"], contents["upgraded_from"], contents["source"]) == (FORMAT, 1, "diffusers")
    assert "replacing" not in contents
    assert {name: (whole / name).read_bytes() for name in untouched} == untouched
    assert not [path for path in whole.rglob("*") if path.name.startswith(".")]
    np.testing.assert_array_equal(images(whole), before)


def test_an_upgraded_bundle_makes_the_pictures_of_a_new_export(tmp_path: Path) -> None:
    models = [tiny_model(real_timestep=real_timestep, classes=False) for real_timestep in (False, True)]
    old, new = (
        write_bundle(tmp_path / str(number), model, labels=None, scheduler=KARRAS)
        for number, model in enumerate(models)
    )
    expected = images(new, "euler")
    assert (images(old, "euler") != expected).any()
    upgrade_bundle(old)
    np.testing.assert_array_equal(images(old, "euler"), expected)


def test_a_bundle_of_today_is_left_as_it_is(whole: Path) -> None:
    upgrade_bundle(whole)
    (whole / "unet" / ".upgrade.model.onnx").write_text("left by a process that was killed")
    assert upgrade_bundle(whole).changed == ()
    before = {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in whole.rglob("*")}
    assert upgrade_bundle(whole) == Upgrade(format_before=FORMAT, format=FORMAT, changed=(), left=())
    assert {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in whole.rglob("*")} == before


@pytest.mark.parametrize("replaced", range(6))
def test_an_interruption_leaves_a_bundle_that_runs_and_the_upgrade_goes_on(
    replaced: int, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All files are replaced by os.replace: export.json, three graphs, the record of the UNet, export.json."""
    expected, left = images(whole), replaced
    replace = os.replace

    def interrupted(source: Any, target: Any) -> None:
        nonlocal left
        if not left:
            raise KeyboardInterrupt
        left -= 1
        replace(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", interrupted)
        with pytest.raises(KeyboardInterrupt):
            upgrade_bundle(whole)
    assert sum(real(whole).values()) == min(max(replaced - 1, 0), 3)
    np.testing.assert_array_equal(images(whole), expected)
    np.testing.assert_array_equal(images(whole, "euler").shape, expected.shape)
    upgrade_bundle(whole)
    assert (real(whole), verify_files(whole)) == (dict.fromkeys(GRAPHS, True), 8)
    assert "replacing" not in json.loads((whole / "export.json").read_text())


def test_a_graph_that_was_changed_since_its_export_gets_no_new_hash(whole: Path) -> None:
    graph = whole / "unet" / "shallow.onnx"
    shutil.copy(whole / "unet" / "model.onnx", graph)
    before = (whole / "export.json").read_bytes()
    with pytest.raises(BundleError, match=r"shallow\.onnx is not the file that was exported: copy or export it again"):
        upgrade_bundle(whole)
    assert (whole / "export.json").read_bytes() == before


def test_a_graph_that_predicts_something_else_is_not_kept(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    change = ddim_edge_export.upgrade.take_real_timesteps

    def wrong(model: Any) -> None:
        change(model)
        (slope,) = (value for value in model.graph.initializers.values() if value.name == "slope")
        slope.const_value = ir.tensor(np.float32(0.0011), name="slope")

    monkeypatch.setattr(ddim_edge_export.upgrade, "take_real_timesteps", wrong)
    with pytest.raises(ExportError, match="with a float32 timestep predicts something else: it is left as it is"):
        upgrade_bundle(whole)
    assert verify_files(whole) == 8
    assert not list((whole / "unet").glob(".*"))


def test_a_network_with_a_table_of_timesteps_gets_the_number_alone(tmp_path: Path) -> None:
    model = onnx.parser.parse_model(
        """<ir_version: 10, opset_import: ["" : 18]>
        unet (float[batch, 1, 8, 8] sample, int64[batch] timestep) => (float[batch, 1, 8, 8] out_sample)
        <float[2, 1, 1, 1] table = {0.5, 0.25}, int64 zero = {0}>
        { shift = Gather(table, timestep) out_sample = Add(sample, shift) }"""
    )
    folder = record(write_bundle(tmp_path / "bundle", model, labels=None))
    before = open_bundle(folder).sha256
    (reason,) = upgrade_bundle(folder).left
    assert reason == (
        "unet/model.onnx: its timestep stays whole: it is the index of a table, which has rows for whole timesteps "
        "alone"
    )
    assert (open_bundle(folder).sha256, open_bundle(folder).format) == (before, FORMAT)
    assert verify_files(folder)


def test_a_bundle_of_another_program_gets_no_export_json(tmp_path: Path) -> None:
    model = tiny_model(scalar_timestep=True, classes=False)
    for value in (model.graph.input[0], model.graph.output[0]):
        for axis, name in zip(value.type.tensor_type.shape.dim, ("batch_size", "num_channels", "h", "w"), strict=True):
            axis.dim_param = name
    folder = write_bundle(tmp_path / "bundle", model, labels=None)
    before = images(folder)
    assert upgrade_bundle(folder) == Upgrade(format_before=None, format=None, changed=("unet/model.onnx",), left=())
    assert not (folder / "export.json").exists()
    np.testing.assert_array_equal(images(folder), before)


def test_norms_without_a_kernel_on_cuda_are_named(tmp_path: Path) -> None:
    model = tiny_model(classes=False)
    model.opset_import[0].version = 22
    model.graph.node.insert(
        0, onnx.helper.make_node("InstanceNormalization", ["sample", "scale", "bias"], ["normal"], epsilon=1e-5)
    )
    model.graph.initializer.extend(
        onnx.numpy_helper.from_array(np.ones(1, np.float32), name) for name in ("scale", "bias")
    )
    folder = write_bundle(tmp_path / "bundle", model, labels=None)
    assert upgrade_bundle(folder).left == (
        "unet/model.onnx: CUDA has no kernel for its InstanceNormalization, which runs on the CPU: export the model "
        "again",
    )


def test_controlnets_and_the_fp32_graph_change_with_the_unet(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "bundle", tiny_model(classes=False, half=True), labels=None)
    onnx.save_model(tiny_model(classes=False), folder / "unet" / "model.fp32.onnx")
    shutil.copytree(folder / "unet", folder / "controlnet")
    (folder / "controlnet" / "model.fp32.onnx").unlink()
    assert upgrade_bundle(folder).changed == ("controlnet/model.onnx", "unet/model.fp32.onnx", "unet/model.onnx")


def test_a_copy_is_whole_and_the_bundle_stays(whole: Path, tmp_path: Path) -> None:
    (whole / "compiled").mkdir()
    (whole / "compiled" / "engine").write_text("of the old graphs")
    before = {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()}
    assert upgrade_copy(whole, tmp_path / "new").changed == GRAPHS
    assert {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()} == before
    assert verify_files(tmp_path / "new") == 8
    assert not (tmp_path / "new" / "compiled").exists()
    with pytest.raises(ConfigError, match="is there already and is not empty"):
        upgrade_copy(whole, tmp_path / "new")
    with pytest.raises(ConfigError, match="is in the bundle itself: choose another place"):
        upgrade_copy(whole, whole / "new")
    assert not (whole / "new").exists()


def test_no_file_from_outside_the_bundle_is_copied(whole: Path, tmp_path: Path) -> None:
    (tmp_path / "private").write_text("secret")
    (whole / "tokenizer").mkdir()
    (whole / "tokenizer" / "vocab.json").symlink_to(tmp_path / "private")
    with pytest.raises(BundleError, match=r"vocab\.json is a link out of the bundle: replace it by the file"):
        upgrade_copy(whole, tmp_path / "new")
    assert not (tmp_path / "new").exists()
