"""Every bad input ends in one line on stderr that says what to do, exit code 2, and leaves nothing behind."""

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import onnx.parser
import pytest

from ddim_edge.cli import main as main_function
from ddim_edge.generation.pipeline import Pipeline
from ddim_edge.runtime.providers.onnxruntime_module import NOT_INSTALLED
from tests.helpers.command_line import Invoke
from tests.helpers.tiny_bundles import tiny_model, write_bundle

NewBundle = Callable[..., Path]


@pytest.mark.parametrize("command", ["run", "inspect"])
def test_no_such_model(invoke: Invoke, command: str) -> None:
    assert invoke(command, "fashoin").failed_with("no model 'fashoin'", "the bundled models are", "fashion-mnist")


@pytest.mark.parametrize("command", ["run", "inspect"])
def test_a_folder_without_a_graph(invoke: Invoke, tmp_path: Path, command: str) -> None:
    (tmp_path / "empty").mkdir()
    assert invoke(command, "empty").failed_with("empty is not a bundle: it has no unet/model.onnx")


@pytest.mark.parametrize("command", ["run", "inspect"])
@pytest.mark.parametrize("keep", [0, 1, 100, -1])
def test_a_truncated_graph(invoke: Invoke, new_bundle: NewBundle, command: str, keep: int) -> None:
    graph = new_bundle() / "unet" / "model.onnx"
    graph.write_bytes(graph.read_bytes()[:keep])
    assert invoke(command, "bundle").failed_with("model.onnx", "export or copy it again")


@pytest.mark.parametrize("command", ["run", "inspect"])
def test_a_file_that_is_no_graph(invoke: Invoke, new_bundle: NewBundle, command: str) -> None:
    (new_bundle() / "unet" / "model.onnx").write_text("<html>404</html>")
    assert invoke(command, "bundle").failed_with("is not an ONNX graph")


@pytest.mark.parametrize("command", ["run", "inspect"])
def test_external_weights_that_are_missing(invoke: Invoke, new_bundle: NewBundle, command: str) -> None:
    (new_bundle(external=True) / "unet" / "model.onnx_data").unlink()
    assert invoke(command, "bundle").failed_with("model.onnx_data is missing", "Copy it too")


@pytest.mark.parametrize("command", ["run", "inspect"])
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_external_weights_that_are_no_regular_file(
    invoke: Invoke, new_bundle: NewBundle, command: str, kind: str
) -> None:
    data = new_bundle(external=True) / "unet" / "model.onnx_data"
    data.unlink()
    {"pipe": os.mkfifo, "device": lambda path: path.symlink_to("/dev/zero"), "folder": Path.mkdir}[kind](data)
    assert invoke(command, "bundle").failed_with("model.onnx_data is not a regular file")


@pytest.mark.parametrize("command", ["run", "inspect"])
def test_a_link_to_weights_outside_the_bundle(
    invoke: Invoke, new_bundle: NewBundle, tmp_path: Path, command: str
) -> None:
    data = new_bundle(external=True) / "unet" / "model.onnx_data"
    data.rename(tmp_path / "secret")
    data.symlink_to("../../secret")
    assert invoke(command, "bundle").failed_with("model.onnx_data is a link to", "outside the bundle", "refused")


def _graph(signature: str, *nodes: str) -> onnx.ModelProto:
    body = chr(10).join(nodes)
    return onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["" : 18]> unet {signature} {{ {body} }}')


@pytest.mark.parametrize(
    ("signature", "nodes", "message"),
    [
        ("(float[n, 1, 8, 8] sample, int64[n] timestep) => ()", ["x = Identity(sample)"], "has no outputs"),
        ("() => (float[1] x)", ["x = Constant<value_floats = [1.0]>()"], "has no inputs"),
        (
            "(float[n, 8, 8] sample, int64[n] timestep) => (float[n, 8, 8] x)",
            ["x = Identity(sample)"],
            "samples of the shape (8, 8), and its config.json describes",
        ),
        ("(float sample, int64[n] timestep) => (float x)", ["x = Identity(sample)"], "no denoiser"),
        (
            "(float[n, 1, 8, 8] sample, int64[n, 1] timestep) => (float[n, 1, 8, 8] x)",
            ["x = Identity(sample)"],
            "one number",
        ),
        (
            "(float[n, 1, 8, 8] sample, int64[n] timestep) => (float[n] x)",
            ["x = ReduceSum<keepdims = 0>(sample)"],
            "returns the shape",
        ),
    ],
)
def test_a_graph_that_is_no_denoiser(
    invoke: Invoke, new_bundle: NewBundle, signature: str, nodes: list[str], message: str
) -> None:
    new_bundle(_graph(signature, *nodes), labels=None)
    assert invoke("run", "bundle").failed_with(message)


@pytest.mark.parametrize("command", ["run", "inspect"])
def test_external_weights_outside_the_bundle(invoke: Invoke, new_bundle: NewBundle, command: str) -> None:
    folder = new_bundle(external=True)
    graph = folder / "unet" / "model.onnx"
    contents = graph.read_bytes()
    assert contents.count(b"model.onnx_data") > 0
    graph.write_bytes(contents.replace(b"model.onnx_data", b"../../outside12"))
    (folder / "unet" / "model.onnx_data").rename(folder.parent / "outside12")
    assert invoke(command, "bundle").failed_with("'../../outside12', outside the bundle", "refused")


@pytest.mark.parametrize("name", ["model_index.json", "unet/config.json", "scheduler/scheduler_config.json"])
def test_broken_json(invoke: Invoke, new_bundle: NewBundle, name: str) -> None:
    (new_bundle() / name).write_text('{"a": ')
    assert invoke("run", "bundle").failed_with(f"{name} is not JSON")
    assert invoke("inspect", "bundle").failed_with(f"{name} is not JSON")


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (["--labels", "dgo"], ["label 'dgo' is unknown. Did you mean 'dog'?", "Valid: cat, dog, Ångström"]),
        (["--labels", "cat,3"], ["label 3 is out of range", "0 to 2"]),
        (["--labels", "²"], ["label '²' is unknown"]),
        (["--labels", "--1"], ["label '--1' is unknown"]),
        (["--labels", ","], ["labels must be a list"]),
        (["--labels", ""], ["labels must be a list"]),
        (["--steps", "0"], ["num_steps must be from 1 to 1000, not 0"]),
        (["--steps", "-1"], ["num_steps must be from 1 to 1000, not -1"]),
        (["--steps", "1001"], ["num_steps must be from 1 to 1000, not 1001"]),
        (["--steps", "ten"], ["--steps", "'ten' is not a whole number"]),
        (["--eta", "nan"], ["eta must be a finite number, not nan"]),
        (["--eta", "-1"], ["eta must be a number of at least 0"]),
        (["--eta", "inf"], ["eta must be a finite number"]),
        (["--eta", "7"], ["take an eta of at most 1"]),
        (["--seed", "-1"], ["seed must be from 0"]),
        (["--seed", str(2**64)], ["seed must be from 0"]),
        (["--num-images", "0"], ["num_images must be from 1 to 10000000, not 0"]),
        (["--batch-size", "0"], ["batch_size must be at least 1"]),
        (["--guidance-scale", "nan"], ["guidance_scale must be a number of at least 0"]),
        (["--sampler-config", "eta"], ["--sampler-config must be KEY=VALUE", "'eta'"]),
        (["--sampler-config", "etta=1"], ["ddim option 'etta' is unknown. Did you mean 'eta'?"]),
        (["--sampler-config", "beta_schedule=linaer"], ["Did you mean 'linear'?"]),
        (["--sampler-config", "clip_denoised_sample=maybe"], ["must be true or false, not 'maybe'"]),
        (["--scheduler", "none.json"], ["cannot read none.json: No such file"]),
        (["--noise", "tf"], ["'tf' is not one of"]),
        (["--format", "jpg"], ["'jpg' is not one of"]),
        (["--provider", "cdua"], ["provider 'cdua' is unknown. Did you mean 'cuda'?"]),
        (["--stpes", "3"], ["No such option", "--stpes"]),
        (["--output", "out.bmp"], ["the file must end in .png, .npy, .npz, .jpg, .jpeg or .webp, a folder in /"]),
        (["--output", "out/", "--gif"], ["--gif animates one image file"]),
        (["--output", "out/", "--show"], ["--show draws one image"]),
        (["--from-image", "none.png"], ["none.png is not there"]),
    ],
)
def test_options(invoke: Invoke, tmp_path: Path, tiny_bundle: Path, options: list[str], parts: list[str]) -> None:
    assert invoke("run", tiny_bundle, *options).failed_with(*parts)
    assert list(tmp_path.iterdir()) == []


def test_labels_and_guidance_for_a_model_without_classes(invoke: Invoke, plain_bundle: Path) -> None:
    assert invoke("run", plain_bundle, "--labels", "cat").failed_with("has no classes: leave the labels out")
    assert invoke("run", plain_bundle, "-g", 2).failed_with("needs a null class", "leave the guidance at 1")


def test_a_folder_that_cannot_be_written(
    invoke: Invoke, tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_arguments: False)
    monkeypatch.setattr(Pipeline, "run", lambda *_arguments: pytest.fail("it must not begin"))
    assert invoke("run", tiny_bundle, "-o", "out.png").failed_with("cannot write out.png", "is not writable")
    (tmp_path / "file").touch()
    assert invoke("run", tiny_bundle, "-o", "file/").failed_with("cannot write file")


@pytest.mark.parametrize("output", ["out.png", "out.npy", "out"])
def test_a_full_disk(
    invoke: Invoke, tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch, output: str
) -> None:
    def full(*_arguments: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for name in ("replace", "link"):
        monkeypatch.setattr(os, name, full)
    assert invoke("run", tiny_bundle, "-s", 1, "-o", output).failed_with("cannot write out", "No space left on device")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("command", ["run", "inspect"])
def test_without_onnxruntime(invoke: Invoke, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert invoke(command, tiny_bundle).failed_with(NOT_INSTALLED)


def test_nan_is_no_fault_of_the_user(invoke: Invoke, tmp_path: Path) -> None:
    write_bundle(tmp_path / "bundle", tiny_model(nan_at=(0, 0)))
    outcome = invoke("run", "bundle", "-s", 2, "-o", "out.png")
    assert outcome.failed_with("unet returned NaN or infinity at network call 2, timestep 0", code=1)
    assert not (tmp_path / "out.png").exists()


def test_a_fault_of_ours_is_one_line_too(invoke: Invoke, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_arguments: Any) -> None:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr(Pipeline, "run", broken)
    outcome = invoke("run", tiny_bundle)
    assert outcome.failed_with("internal error: RuntimeError: two lines (DDIM_EDGE_DEBUG=1 shows a traceback)", code=1)
    monkeypatch.setenv("DDIM_EDGE_DEBUG", "1")
    with pytest.raises(RuntimeError, match="two"):
        main_function(["run", str(tiny_bundle)])


def test_too_little_memory(invoke: Invoke, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(Pipeline, "run", full)
    assert invoke("run", tiny_bundle).failed_with("there is too little memory", "a smaller --batch-size")


@pytest.mark.parametrize("arguments", [["rnu"], ["run", "a", "b"], ["export"], ["inspect", "--yaml"], ["doctor", "x"]])
def test_commands_and_arguments(invoke: Invoke, arguments: list[str]) -> None:
    assert invoke(*arguments).failed_with("")
