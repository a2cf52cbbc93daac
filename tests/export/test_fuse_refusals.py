"""What cannot have a fused step, and what the command says of it: one line, and nothing is changed."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest

import ddim_edge_export.fuse
from ddim_edge.errors import ExportError, OutputError
from ddim_edge_export.fuse import fuse_step, main
from ddim_edge_export.verify.fused_step import verify_step
from tests.helpers.tiny_bundles import tiny_model, write_bundle


def changed(change: Callable[[onnx.GraphProto], None], **options: Any) -> onnx.ModelProto:
    model = tiny_model(**options)
    change(model.graph)
    return model


def wider(graph: onnx.GraphProto) -> None:
    graph.input[0].type.tensor_type.shape.dim[1].dim_value = 9


def residual(graph: onnx.GraphProto) -> None:
    graph.input.append(onnx.helper.make_tensor_value_info("down_block_additional_residuals.0", 1, ["batch", 4]))


def free_timestep(graph: onnx.GraphProto) -> None:
    graph.input[1].type.tensor_type.shape.dim[0].dim_param = "batch"


def second_output(graph: onnx.GraphProto) -> None:
    graph.output.append(onnx.helper.make_tensor_value_info("drift", 1, ["batch"]))


def renamed(graph: onnx.GraphProto) -> None:
    graph.input.append(onnx.helper.make_tensor_value_info("noise", 1, ["batch"]))


def other_timestep(graph: onnx.GraphProto) -> None:
    graph.input[1].name = graph.node[0].input[0] = "t"


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            tiny_model(scalar_timestep=True),
            "its timestep is not a vector, .* number of rows is unknown: export it again",
        ),
        (changed(wider), "it takes 9 channels and predicts 1: a step needs the same number"),
        (changed(residual), "it takes the residuals of ControlNets"),
        (changed(free_timestep, batch=2), "the batch of its sample is 2 and that of its timestep free"),
        (changed(second_output), "it has 2 outputs"),
        (changed(renamed), "it has a noise already"),
        (changed(other_timestep), "it has no input 'timestep'"),
    ],
)
def test_graphs_that_cannot_have_a_step(model: onnx.ModelProto, message: str, tmp_path: Path) -> None:
    unet = write_bundle(tmp_path / "bundle", model) / "unet"
    before = {path.name: path.read_bytes() for path in unet.iterdir()}
    with pytest.raises(ExportError, match=f"cannot add the step to this UNet's graph: {message}"):
        fuse_step(unet)
    assert {path.name: path.read_bytes() for path in unet.iterdir()} == before


def test_a_step_has_no_step(tmp_path: Path) -> None:
    unet = write_bundle(tmp_path / "bundle") / "unet"
    fuse_step(unet).replace(unet / "model.onnx")
    with pytest.raises(ExportError, match="it has a denoised already"):
        fuse_step(unet)


def test_an_old_opset(tmp_path: Path) -> None:
    model = tiny_model()
    model.opset_import[0].version = 14
    with pytest.raises(ExportError, match="its opset is below 15: export it again, with a newer one"):
        fuse_step(write_bundle(tmp_path / "bundle", model) / "unet")


@pytest.mark.parametrize("batch", [1, 2, 3, 4])
def test_a_fixed_batch(batch: int, tmp_path: Path) -> None:
    """An even one may be guided or not; an odd one is as many images."""
    unet = write_bundle(tmp_path / "bundle", tiny_model(batch=batch)) / "unet"
    step = fuse_step(unet)
    dim = onnx.load(step).graph.input[0].type.tensor_type.shape.dim[0]
    assert (dim.dim_value or dim.dim_param) == (batch if batch % 2 else "images")
    assert verify_step(unet / "model.onnx", step).error <= 1e-5


def test_a_folder_without_a_graph(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"model\.onnx is not there: give a folder with a UNet's graph"):
        fuse_step(tmp_path)
    (tmp_path / "model.onnx").write_bytes(b"\xff" * 9)
    with pytest.raises(ExportError, match=r"model\.onnx is not an ONNX graph"):
        fuse_step(tmp_path)


def test_a_folder_that_cannot_be_written_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unet = write_bundle(tmp_path / "bundle") / "unet"

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(ddim_edge_export.fuse.tempfile, "TemporaryDirectory", refuse)
    with pytest.raises(OutputError, match=r"cannot write into .*unet: Permission denied"):
        fuse_step(unet)


def test_the_command_and_an_upgrade_need_no_torch(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle")
    code = (
        "import sys; from ddim_edge_export.fuse import main; code = main(sys.argv[1:]); from pathlib import Path; "
        "from ddim_edge_export.upgrade import upgrade_bundle; assert upgrade_bundle(Path(sys.argv[1])).changed; "
        "assert 'torch' not in sys.modules; sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(bundle)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{bundle / 'unet' / 'unet_step.onnx'}\n", "")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "usage: python -m ddim_edge_export.fuse BUNDLE\n"),
        (["--help"], 2, "usage: "),
        (["nowhere"], 1, "ddim-edge: nowhere/unet/model.onnx is not there"),
    ],
)
def test_a_command_that_means_nothing(
    arguments: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(message)
    assert captured.err.count("\n") == 1
