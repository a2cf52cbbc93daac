"""The model repository of a bundle: its files, and its configurations as Triton reads them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from tritonclient.grpc import model_config_pb2

from ddim_edge.bundle.read import open_bundle
from ddim_edge.errors import BundleError, ConfigError
from ddim_edge.triton.repository import write_repository
from tests.helpers.command_line import COMMAND, Invoke
from tests.helpers.tiny_bundles import tiny_model, write_bundle
from tests.triton.configs import config_of, sent_and_given

EMOJI = Path(__file__).parents[2] / "models" / "emoji"
TYPES = {"TYPE_FP32": np.float32, "TYPE_INT64": np.int64, "TYPE_INT32": np.int32}


def _files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_the_python_model_has_the_bundle_beside_it(tmp_path: Path, tiny_bundle: Path) -> None:
    assert write_repository(open_bundle(tiny_bundle), tmp_path / "out") == ["tiny"]
    model = tmp_path / "out" / "tiny"
    inside = {f"1/bundle/{name}" for name in _files(tiny_bundle)}
    assert _files(model) == {"config.pbtxt", "1/model.py", *inside}
    for name in _files(tiny_bundle):
        assert (model / "1" / "bundle" / name).samefile(tiny_bundle / name)
    assert open_bundle(model / "1" / "bundle").sha256 == open_bundle(tiny_bundle).sha256


def test_the_python_model_is_decoupled_and_has_no_inputs(tmp_path: Path, tiny_bundle: Path) -> None:
    write_repository(open_bundle(tiny_bundle), tmp_path / "out")
    config = config_of(tmp_path / "out" / "tiny")
    assert config.backend == "python"
    assert config.model_transaction_policy.decoupled
    assert config.max_batch_size == len(config.input) == 0
    kind = model_config_pb2.DataType.Name
    outputs = {each.name: (kind(each.data_type), list(each.dims)) for each in config.output}
    assert outputs == {
        "image": ("TYPE_UINT8", [-1, -1, 1]),
        "recipe": ("TYPE_UINT8", [-1]),
        "index": ("TYPE_INT32", [1]),
        "final": ("TYPE_BOOL", [1]),
    }
    assert {name: value.string_value for name, value in config.parameters.items()} == {"provider": "auto"}
    (group,) = config.instance_group
    assert (group.count, group.kind) == (1, model_config_pb2.ModelInstanceGroup.KIND_MODEL)


def test_a_file_system_without_links_gets_copies(
    tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "link", no_links)
    write_repository(open_bundle(tiny_bundle), tmp_path / "out")
    copy = tmp_path / "out" / "tiny" / "1" / "bundle" / "unet" / "model.onnx"
    assert not copy.samefile(tiny_bundle / "unet" / "model.onnx")
    assert copy.read_bytes() == (tiny_bundle / "unet" / "model.onnx").read_bytes()


def test_hidden_files_are_left_out(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "tiny")
    (bundle / ".git").mkdir()
    (bundle / ".git" / "config").write_text("")
    write_repository(open_bundle(bundle), tmp_path / "out")
    assert not list((tmp_path / "out").rglob(".git"))


def _run(graph: Path, config: Any, rows: int) -> dict[str, tuple[int, ...]]:
    """The shapes of the outputs, when the graph gets what Triton gives it."""
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    kind = model_config_pb2.DataType.Name
    feeds = {}
    for each in config.input:
        _, shape = sent_and_given(each, rows, free=16)
        feeds[each.name] = np.ones(shape, TYPES[kind(each.data_type)])
    names = [each.name for each in config.output]
    return dict(zip(names, [output.shape for output in session.run(names, feeds)], strict=True))


@pytest.mark.parametrize("model", ["fashion-mnist", EMOJI])
def test_graphs_run_with_what_triton_gives_them(tmp_path: Path, model: str | Path) -> None:
    bundle = open_bundle(model)
    names = write_repository(bundle, tmp_path / "out", graphs=True)
    graphs = sorted(path.parent.name for path in bundle.folder.glob("*/model.onnx"))
    assert names == [bundle.folder.name, *(f"{bundle.folder.name}_{graph}" for graph in graphs)]
    for name in names[1:]:
        config = config_of(tmp_path / "out" / name)
        assert config.backend == "onnxruntime"
        assert config.HasField("dynamic_batching")
        assert config.max_batch_size == 16
        for rows in (1, 3):
            shapes = _run(tmp_path / "out" / name / "1" / "model.onnx", config, rows)
            assert all(shape[0] == rows for shape in shapes.values())


def test_each_row_of_a_unet_has_its_own_timestep(tmp_path: Path, tiny_bundle: Path) -> None:
    write_repository(open_bundle(tiny_bundle), tmp_path / "out", graphs=True)
    inputs = {each.name: each for each in config_of(tmp_path / "out" / "tiny_unet").input}
    assert sent_and_given(inputs["timestep"], 5, free=8) == ((5, 1), (5,))
    assert sent_and_given(inputs["sample"], 5, free=8) == ((5, 1, 8, 8), (5, 1, 8, 8))


def test_a_graph_with_one_timestep_for_all_has_no_batches(tmp_path: Path) -> None:
    model = tiny_model(scalar_timestep=True, classes=False, batch=2)
    bundle = write_bundle(tmp_path / "tiny", model, labels=None, null_class=None)
    write_repository(open_bundle(bundle), tmp_path / "out", graphs=True)
    config = config_of(tmp_path / "out" / "tiny_unet")
    assert config.max_batch_size == 0
    assert not config.HasField("dynamic_batching")
    (timestep,) = (each for each in config.input if each.name == "timestep")
    assert sent_and_given(timestep, 0, free=8) == ((1,), ())
    graph = tmp_path / "out" / "tiny_unet" / "1" / "model.onnx"
    assert _run(graph, config, 0) == {"out_sample": (2, 1, 8, 8)}


def test_half_precision_is_named(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "tiny", tiny_model(half=True))
    write_repository(open_bundle(bundle), tmp_path / "out", graphs=True)
    inputs = {each.name: each.data_type for each in config_of(tmp_path / "out" / "tiny_unet").input}
    assert inputs["sample"] == model_config_pb2.TYPE_FP16
    assert inputs["timestep"] == model_config_pb2.TYPE_INT64


def test_weights_beside_a_graph_come_with_it(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "tiny", external=True)
    write_repository(open_bundle(bundle), tmp_path / "out", graphs=True)
    version = tmp_path / "out" / "tiny_unet" / "1"
    assert _files(version) == {"model.onnx", "model.onnx_data"}
    assert _run(version / "model.onnx", config_of(version.parent), 2)


def test_a_broken_graph_leaves_nothing(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "tiny", external=True)
    (bundle / "unet" / "model.onnx_data").unlink()
    with pytest.raises(BundleError, match=r"model\.onnx_data"):
        write_repository(open_bundle(bundle), tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]


def test_five_channels_are_no_picture(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "tiny", tiny_model(channels=5), channels=5)
    with pytest.raises(ConfigError, match=r"makes arrays of shape \(5, 8, 8\), and no images"):
        write_repository(open_bundle(bundle), tmp_path / "out")


def test_the_command_names_the_models(invoke: Invoke, tmp_path: Path) -> None:
    outcome = invoke("export", "fashion-mnist", "--triton", "models", "--triton-graphs")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == "models: fashion-mnist, fashion-mnist_unet\n"
    assert (tmp_path / "models" / "fashion-mnist" / "1" / "model.py").is_file()
    outcome = invoke("export", "fashion-mnist", "--triton", "again", "--json")
    assert json.loads(outcome.out) == {"repository": "again", "models": ["fashion-mnist"]}
    assert invoke("export", "fashion-mnist", "--triton", "third", "--quiet").out == ""


def test_the_command_needs_no_exporter(tmp_path: Path) -> None:
    code = f"import sys; sys.modules['torch'] = sys.modules['ddim_edge_export'] = None; {COMMAND[2]}"
    command = [sys.executable, "-c", code, "export", "fashion-mnist", "--triton", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fashion-mnist", "--triton", "full"], "full is there already and is not empty"),
        (["fashion-mnist", "--triton", "full/file/out"], "cannot write beside full/file/out"),
        (["missing", "--triton", "out"], "no model 'missing'"),
        (["fashion-mnist", "out", "--triton", "models"], "leave OUT out"),
        (["fashion-mnist", "--triton", "models", "--dtype", "fp16"], "leave --dtype out"),
        (["fashion-mnist", "out", "--triton-graphs"], "--triton-graphs needs --triton DIR"),
        (["fashion-mnist"], "OUT"),
    ],
)
def test_bad_input_is_one_line(invoke: Invoke, tmp_path: Path, arguments: list[str], message: str) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("")
    assert invoke("export", *arguments).failed_with(message)
    assert [path.name for path in tmp_path.iterdir()] == ["full"]
