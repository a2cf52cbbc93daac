"""The shallow graph in a bundle: files, hashes, what inspect and build make of it, and what the command refuses."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnxscript import ir

import ddim_edge_export.step_cache
from ddim_edge.build.plan import BuildRequest, plan
from ddim_edge.bundle.read import open_bundle
from ddim_edge.bundle.verify import verify_files
from ddim_edge.errors import BundleError, ExportError
from ddim_edge.runtime.providers.device import Device
from ddim_edge_export.fuse import fuse_bundle, fuse_step
from ddim_edge_export.output.record import hash_files
from ddim_edge_export.step_cache import add_step_cache, add_to_bundle, main
from tests.helpers.command_line import Invoke
from tests.helpers.tiny_bundles import write_bundle, write_json
from tests.helpers.tiny_unet import tiny_unet

FASHION = Path(__file__).parents[2] / "models" / "fashion-mnist"


def run(path: Path, outputs: list[str], **feeds: Any) -> list[Any]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return list(session.run(outputs, {value.name: feeds[value.name] for value in session.get_inputs()}))


def question(side: int = 8) -> dict[str, Any]:
    sample = np.random.default_rng(0).standard_normal((3, 1, side, side), np.float32)
    return {"sample": sample, "timestep": np.array([3, 500, 998]), "class_labels": np.array([7, 10, 0])}


def written(folder: Path) -> Path:
    """A bundle of the tiny UNet, with its hashes."""
    write_bundle(folder, tiny_unet(), labels=None)
    write_json(folder / "export.json", {"network": "UNet", "verification": {"error": 0}, "files": hash_files(folder)})
    return folder


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """The tiny bundle as it is exported without the option."""
    return written(tmp_path / "bundle")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny bundle with its shallow graph. Leave it as it is."""
    made = written(tmp_path_factory.mktemp("tiny") / "bundle")
    add_to_bundle(made)
    return made


@pytest.fixture(scope="module")
def fashion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The UNet of the bundled model with its weights in a file beside it, and its shallow graph. Leave it as it is."""
    unet = Path(shutil.copytree(FASHION / "unet", tmp_path_factory.mktemp("fashion") / "unet"))
    fuse_step(unet)
    add_step_cache(unet)
    return unet


def test_the_prediction_stays_the_same_and_the_shallow_graph_gives_it_again(fashion: Path) -> None:
    asked = question(28)
    (expected,) = run(FASHION / "unet" / "model.onnx", ["out_sample"], **asked)
    prediction, features = run(fashion / "model.onnx", ["out_sample", "deep_features"], **asked)
    np.testing.assert_array_equal(prediction, expected)
    assert features.shape == (3, 24, 28, 28)
    (again,) = run(fashion / "shallow.onnx", ["out_sample"], deep_features=features, **asked)
    np.testing.assert_allclose(again, prediction, atol=1e-5)
    (other,) = run(fashion / "shallow.onnx", ["out_sample"], deep_features=0 * features, **asked)
    assert np.abs(other - prediction).max() > 0.1


def test_one_file_of_weights_is_shared(fashion: Path) -> None:
    tensors = onnx.load(fashion / "shallow.onnx", load_external_data=False).graph.initializer
    places = {entry.value for tensor in tensors for entry in tensor.external_data if entry.key == "location"}
    assert places == {"model.onnx_data"}
    assert (fashion / "shallow.onnx").stat().st_size < 40_000
    for name in ("model.onnx", "shallow.onnx"):
        onnx.checker.check_model(fashion / name, full_check=True)


def test_files_and_hashes(bundle: Path) -> None:
    assert sorted(path.name for path in (bundle / "unet").iterdir()) == ["config.json", "model.onnx", "shallow.onnx"]
    assert verify_files(bundle) == 5
    record = json.loads((bundle / "export.json").read_text())
    assert record["step_cache"] == 0
    check = record["verification"]["step_cache"]
    assert check["error"] <= check["tolerance"] == 1e-5
    assert record["verification"]["error"] == 0
    shapes = {
        value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in onnx.load(bundle / "unet" / "shallow.onnx").graph.input
    }
    assert shapes == {
        "sample": ["batch", 1, "height", "width"],
        "timestep": ["batch"],
        "deep_features": ["batch", 2, "height", "width"],
    }


def test_inspect_and_build_know_it(bundle: Path, plain: Path, invoke: Invoke) -> None:
    shown = json.loads(invoke("inspect", bundle, "--json", "--verify").out)
    assert [graph["name"] for graph in shown["graphs"]] == ["unet", "shallow"]
    share = shown["step_cache"]["parameters"]
    assert shown["step_cache"] == {"branch": 0, "parameters": share}
    assert f"--cache deep: branch 0, a shallow call has {share:.1%} of the parameters" in invoke("inspect", bundle).out
    assert json.loads(invoke("inspect", plain, "--json").out)["step_cache"] is None
    recipes = plan(open_bundle(bundle), Device("cpu"), BuildRequest())
    assert [recipe.component for recipe in recipes] == ["unet", "shallow"]


@pytest.mark.parametrize("step_first", [True, False])
def test_a_fused_step_returns_the_features_too(step_first: bool, plain: Path) -> None:
    for add in (fuse_bundle, add_to_bundle) if step_first else (add_to_bundle, fuse_bundle):
        add(plain)
    assert verify_files(plain) == 6
    inputs = {"noise": question()["sample"], "step_coefficients": np.ones((3, 8), np.float32)} | question()
    prediction, features = run(plain / "unet" / "unet_step.onnx", ["out_sample", "deep_features"], **inputs)
    (again,) = run(plain / "unet" / "shallow.onnx", ["out_sample"], deep_features=features, **question())
    np.testing.assert_allclose(again, prediction, atol=1e-5)


def test_a_timestep_that_all_rows_share(tmp_path: Path) -> None:
    """As in the graphs of optimum."""
    tiny = write_bundle(tmp_path / "bundle", tiny_unet(scalar_timestep=True), labels=None)
    check = add_to_bundle(tiny)
    assert check.error <= check.tolerance


def test_another_branch_replaces_the_first(bundle: Path, plain: Path) -> None:
    hashes = [open_bundle(plain).sha256]  # recipes have it: each branch makes other pictures
    shares = []
    for branch in (0, 1):
        shares.append(add_to_bundle(plain, branch).parameters)
        hashes.append(open_bundle(plain).sha256)
    assert shares[1] > shares[0]
    assert len(set(hashes)) == 3
    assert verify_files(plain) == 5
    assert json.loads((plain / "export.json").read_text())["step_cache"] == 1
    add_to_bundle(plain, 0)
    for name in ("model.onnx", "shallow.onnx"):
        outputs = [onnx.load(folder / "unet" / name).graph for folder in (plain, bundle)]
        assert [node.op_type for node in outputs[0].node] == [node.op_type for node in outputs[1].node]


@pytest.mark.parametrize("moved", [0, 1])
def test_an_interruption_leaves_a_graph_that_runs(moved: int, plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[Path] = []

    def replace(source: Path, target: Path) -> None:
        if len(done) == moved:
            raise KeyboardInterrupt
        done.append(source.rename(target))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", replace)
        with pytest.raises(KeyboardInterrupt):
            add_to_bundle(plain)
    assert sorted(path.name for path in (plain / "unet").iterdir()) == ["config.json", "model.onnx"]
    (image,) = run(plain / "unet" / "model.onnx", ["out_sample"], **question())
    assert np.isfinite(image).all()
    add_to_bundle(plain)
    assert verify_files(plain) == 5


def test_a_shallow_graph_that_is_another_one_is_not_kept(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_shallow = ddim_edge_export.step_cache.keep_shallow

    def wrong(model: Any) -> None:
        keep_shallow(model)
        model.graph.initializers["bias"].const_value = ir.tensor(np.array([0.2], np.float32), name="bias")

    monkeypatch.setattr(ddim_edge_export.step_cache, "keep_shallow", wrong)
    with pytest.raises(ExportError, match=r"it differs from the whole one by 0\.\d+ of the largest value, where 1e-05"):
        add_to_bundle(plain)
    assert verify_files(plain) == 4
    assert sorted(path.name for path in (plain / "unet").iterdir()) == ["config.json", "model.onnx"]


def test_what_the_command_says(plain: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "usage: python -m ddim_edge_export.step_cache BUNDLE [BRANCH]" in capsys.readouterr().err
    for branch, message in {"7": "must be from 0 to 1 for this unet", "x": "'x' is not a whole number"}.items():
        assert main([str(plain), branch]) == 2
        assert message in capsys.readouterr().err
    (plain / "unet" / "model.fp32.onnx").touch()
    assert main([str(plain)]) == 2
    assert "returns no deep features: remove it" in capsys.readouterr().err
    (plain / "unet" / "model.fp32.onnx").unlink()
    assert verify_files(plain) == 4
    assert main([str(plain), "1"]) == 0
    assert "shallow.onnx: branch 1, " in capsys.readouterr().out


def test_a_network_without_skips_or_one_that_was_changed(plain: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="it has no skip connections, as a UNet has"):
        add_to_bundle(write_bundle(tmp_path / "tiny"))
    with (plain / "unet" / "model.onnx").open("ab") as file:
        file.write(b"\x42\x00")
    with pytest.raises(BundleError, match=r"model\.onnx is not the file that was exported: copy or export it again"):
        add_to_bundle(plain)
