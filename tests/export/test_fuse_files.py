"""The files of unet_step.onnx beside model.onnx: weights in one file, hashes, and what an interruption leaves."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

import ddim_edge_export.fuse
from ddim_edge.bundle.verify import verify_files
from ddim_edge.errors import BundleError, ExportError
from ddim_edge_export.fuse import fuse_bundle, fuse_step
from ddim_edge_export.verify.fused_step import verify_step
from tests.helpers.command_line import Invoke
from tests.helpers.tiny_bundles import write_bundle

FASHION = Path(__file__).parents[2] / "models" / "fashion-mnist"


def run(path: Path) -> Callable[..., list[Any]]:
    """A graph as a function of its inputs."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda **feeds: list(session.run(None, feeds))


@pytest.fixture(scope="module")
def fashion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled model with its step. Leave it as it is."""
    bundle = Path(shutil.copytree(FASHION, tmp_path_factory.mktemp("fashion") / "bundle"))
    fuse_bundle(bundle)
    return bundle


def weights(path: Path) -> set[str]:
    """The files that a graph keeps weights in."""
    tensors = onnx.load(path, load_external_data=False).graph.initializer
    return {entry.value for tensor in tensors for entry in tensor.external_data if entry.key == "location"}


def test_both_graphs_share_one_file_of_weights(fashion: Path) -> None:
    unet = fashion / "unet"
    graphs = [unet / "model.onnx", unet / "unet_step.onnx"]
    assert [weights(path) for path in graphs] == [{"model.onnx_data"}] * 2
    assert sorted(path.name for path in unet.iterdir()) == [
        "config.json",
        "model.onnx",
        "model.onnx_data",
        "unet_step.onnx",
    ]
    before = (FASHION / "unet" / "model.onnx").stat().st_size
    after = sum(path.stat().st_size for path in unet.iterdir())
    assert after < before + 2 * graphs[0].stat().st_size
    for path in graphs:
        assert path.stat().st_size < before / 50
        onnx.checker.check_model(path, full_check=True)

    feeds: dict[str, Any] = {"timestep": np.array([3]), "class_labels": np.array([1])}
    sample = np.random.default_rng(0).standard_normal((1, 1, 28, 28), np.float32)
    (got,), (want,) = (run(folder / "unet" / "model.onnx")(sample=sample, **feeds) for folder in (fashion, FASHION))
    np.testing.assert_array_equal(got, want)


def test_what_the_graph_declares(fashion: Path) -> None:
    model = onnx.load(fashion / "unet" / "unet_step.onnx", load_external_data=False)
    plain = onnx.load(FASHION / "unet" / "model.onnx")
    assert (model.opset_import, model.ir_version) == (plain.opset_import, plain.ir_version)
    assert {
        value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    } == {
        "sample": ["images", 1, "height", "width"],
        "timestep": ["batch"],
        "class_labels": ["batch"],
        "step_coefficients": ["images", 8],
        "noise": ["images", 1, "height", "width"],
        "out_sample": ["batch", 1, "height", "width"],
        "next_sample": ["images", 1, "height", "width"],
        "denoised": ["images", 1, "height", "width"],
    }
    added = {node.name for node in model.graph.node} - {node.name for node in plain.graph.node}
    assert all(name.startswith("step/") for name in added)
    assert {"step/tile", "step/guide", "step/denoised", "step/next_sample"} <= added
    assert not {node.op_type for node in model.graph.node} & {"If", "Loop", "Scan"}


def test_the_hashes_of_a_bundle_are_kept_right(fashion: Path, tmp_path: Path) -> None:
    assert verify_files(fashion) == 6
    record = json.loads((fashion / "export.json").read_text())
    assert record["fuse_step"] is True
    assert record["files"].keys() > {"unet/model.onnx", "unet/model.onnx_data", "unet/unet_step.onnx"}
    again = Path(shutil.copytree(fashion, tmp_path / "again"))
    fuse_bundle(again)
    assert {path.name: path.read_bytes() for path in (again / "unet").iterdir()} == {
        path.name: path.read_bytes() for path in (fashion / "unet").iterdir()
    }
    assert verify_files(again) == 6


def test_inspect_shows_both_graphs_and_counts_their_weights_once(fashion: Path, invoke: Invoke) -> None:
    shown = json.loads(invoke("inspect", fashion, "--json", "--verify").out)
    assert shown["verified"] == 6
    graphs = {graph["name"]: graph for graph in shown["graphs"]}
    assert list(graphs) == ["unet", "unet_step"]
    files = {path.name: path.stat().st_size for path in (fashion / "unet").glob("*.onnx*")}
    assert graphs["unet_step"]["bytes"] == files["unet_step.onnx"]
    assert sum(graph["bytes"] for graph in graphs.values()) == sum(files.values())
    assert [value["name"] for value in graphs["unet_step"]["outputs"]] == ["out_sample", "next_sample", "denoised"]


def test_a_graph_that_was_changed_since_its_export_gets_no_new_hash(tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(FASHION, tmp_path / "bundle"))
    with (bundle / "unet" / "model.onnx").open("r+b") as file:
        file.seek(3_000_000)
        file.write(b"spoilt")
    with pytest.raises(BundleError, match=r"model\.onnx is not the file that was exported: copy or export it again"):
        fuse_bundle(bundle)
    assert sorted(path.name for path in (bundle / "unet").iterdir()) == ["config.json", "model.onnx"]


def test_what_was_interrupted_before_the_hashes_were_written_goes_on(tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(FASHION, tmp_path / "bundle"))
    fuse_step(bundle / "unet")
    with pytest.raises(BundleError, match="is not the file that was exported"):
        verify_files(bundle)
    fuse_bundle(bundle)
    assert verify_files(bundle) == 6


def test_weights_that_lie_outside_already_stay_where_they_are(tmp_path: Path) -> None:
    unet = write_bundle(tmp_path / "bundle", external=True) / "unet"
    before = {path.name: path.read_bytes() for path in unet.iterdir()}
    step = fuse_step(unet)
    assert {path.name: path.read_bytes() for path in unet.iterdir() if path != step} == before
    assert weights(step) == {"model.onnx_data"}
    assert verify_step(unet / "model.onnx", step).error <= 1e-5


@pytest.mark.parametrize("moved", [0, 1, 2])
def test_an_interruption_leaves_a_graph_that_runs(moved: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = Path(shutil.copytree(FASHION, tmp_path / "bundle"))
    done: list[Path] = []

    def replace(source: Path, target: Path) -> None:
        if len(done) == moved:
            raise KeyboardInterrupt
        done.append(source.rename(target))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", replace)
        with pytest.raises(KeyboardInterrupt):
            fuse_step(bundle / "unet")
    verify_files(bundle)
    assert not list((bundle / "unet").glob(".*"))
    feeds: dict[str, Any] = {"timestep": np.array([3]), "class_labels": np.array([1])}
    (image,) = run(bundle / "unet" / "model.onnx")(sample=np.zeros((1, 1, 28, 28), np.float32), **feeds)
    assert np.isfinite(image).all()
    fuse_bundle(bundle)
    assert verify_files(bundle) == 6


def test_a_step_that_is_another_one_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here the noise is added without its weight."""
    bundle = write_bundle(tmp_path / "bundle")
    add_step = ddim_edge_export.fuse.add_step

    def wrong(model: Any) -> None:
        add_step(model)
        (node,) = [node for node in model.graph if node.name == "step/next_sample"]
        node.replace_input_with(3, next(value for value in model.graph.inputs if value.name == "noise"))

    monkeypatch.setattr(ddim_edge_export.fuse, "add_step", wrong)
    with pytest.raises(
        ExportError, match=r"its next_sample differs by 0\.\d+ of its largest value, where 1e-05 is allowed"
    ):
        fuse_bundle(bundle)
    assert not (bundle / "unet" / "unet_step.onnx").exists()
