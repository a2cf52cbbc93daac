"""``export --fuse-step``: what goes into the bundle, how it goes on, and what it is refused for."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import onnx.parser
import pytest
from click.testing import CliRunner

import ddim_edge_export.bundle_component
import ddim_edge_export.graph.passes
from ddim_edge.bundle.verify import verify_files
from ddim_edge.cli import cli
from ddim_edge.errors import ConfigError
from ddim_edge_export import Report, export_folder
from ddim_edge_export.fuse import fuse_step
from ddim_edge_export.options import Options
from ddim_edge_export.output.record import write_json
from ddim_edge_export.progress import Stage
from ddim_edge_export.verify.against_torch import Case
from ddim_edge_export.verify.fused_step import verify_step
from tests.helpers.families import FAMILIES
from tests.helpers.tiny_bundles import tiny_model, write_bundle
from tests.helpers.tiny_networks import change

from .conftest import MakeUnet, SourceOf

FLOAT = onnx.TensorProto.FLOAT


def declared(path: Path) -> dict[str, int]:
    """The inputs and outputs of a graph, with their types."""
    graph = onnx.load(path, load_external_data=False).graph
    return {value.name: value.type.tensor_type.elem_type for value in (*graph.input, *graph.output)}


def places(path: Path) -> dict[str, list[str]]:
    """Where a graph finds its weights."""
    tensors = onnx.load(path, load_external_data=False).graph.initializer
    return {tensor.name: [entry.value for entry in tensor.external_data] for tensor in tensors if tensor.external_data}


@pytest.mark.slow
def test_a_network_that_reads_text_in_fp16(
    source_of: SourceOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ddim_edge_export.graph.passes, "_MAX_BYTES_INSIDE", 0)
    bundle = tmp_path / "bundle"
    report = export_folder(source_of("lcm"), bundle, components=["unet"], dtype="fp16", fuse_step=True)

    plain, fused = bundle / "unet" / "model.onnx", bundle / "unet" / "unet_step.onnx"
    before, after = declared(plain), declared(fused)
    assert list(after)[:6] == [*list(before)[:4], "step_coefficients", "noise"]
    assert "timestep_cond" in after
    assert (before["sample"], before["out_sample"]) == (onnx.TensorProto.FLOAT16,) * 2
    assert after == before | dict.fromkeys(["sample", "step_coefficients", "noise", "next_sample", "denoised"], FLOAT)
    assert len(places(plain)) > 20
    assert places(fused) == places(plain)

    step = report.components["unet"].step
    assert step is not None
    assert step.error <= step.tolerance == 1e-2
    record = json.loads((bundle / "unet" / "export.json").read_text())
    assert record["fuse_step"] is True
    assert record["verification"]["step"] == step.to_json()
    assert verify_files(bundle) == sum(path.is_file() for path in bundle.rglob("*")) - 1


@pytest.mark.slow
def test_the_command_makes_one_in_bf16(make_unet: MakeUnet, tmp_path: Path) -> None:
    """What is verified is in float32, where NumPy and ONNX Runtime's CPU have no bf16."""
    one_level: dict[str, Any] = {"down_block_types": ("DownBlock2D",), "up_block_types": ("UpBlock2D",)}
    network = make_unet(num_class_embeds=3, block_out_channels=(8,), mid_block_type=None, **one_level)
    network.save_pretrained(tmp_path / "source")
    arguments = [str(tmp_path / "source"), str(tmp_path / "bundle"), "--assume-ddim", "--dtype", "bf16", "--fuse-step"]
    result = CliRunner().invoke(cli, ["export", *arguments], catch_exceptions=False)
    assert result.exit_code == 0
    assert "unet fuse: adding the step to the graph" in result.stderr
    assert "; its fused step at most " in result.stdout
    kinds = declared(tmp_path / "bundle" / "unet" / "unet_step.onnx")
    assert {kind for name, kind in kinds.items() if name not in ("timestep", "class_labels")} == {FLOAT}
    verify_files(tmp_path / "bundle")


@pytest.mark.parametrize(("kind", "tolerance"), [("float", 1e-5), ("float16", 1e-2)])
def test_everything_that_a_network_may_be_told(kind: str, tolerance: float, tmp_path: Path) -> None:
    """A network like SDXL's, made by hand: its prediction is the sample and the means of all conditioning."""
    number = {"float": 1, "float16": 10}[kind]
    told = {"encoder_hidden_states": "sequence, 6", "text_embeds": "5", "time_ids": "6", "timestep_cond": "3"}
    inputs = [f"{kind}[batch, {axes}] {name}" for name, axes in told.items()]
    lines = [f"time = Cast<to={number}>(timestep)", "sum_0 = Reshape(time, column)"]
    for index, name in enumerate(told):
        lines += [f"flat_{index} = Reshape({name}, flat)", f"mean_{index} = ReduceMean({'flat_' + str(index)}, last)"]
        lines += [f"sum_{index + 1} = Add(sum_{index}, mean_{index})"]
    model = onnx.parser.parse_model(
        f"""<ir_version: 10, opset_import: ["" : 18]>
        unet ({kind}[batch, 4, height, width] sample, int64[batch] timestep, {", ".join(inputs)})
          => ({kind}[batch, 4, height, width] out_sample)
        <int64[4] column = {{-1, 1, 1, 1}}, int64[4] flat = {{0, 1, 1, -1}}, int64[1] last = {{-1}}>
        {{ {chr(10).join(lines)} out_sample = Add(sample, sum_4) }}"""
    )
    unet = write_bundle(tmp_path / "bundle", model, labels=None, channels=4) / "unet"
    step = fuse_step(unet)
    assert {*told} <= declared(step).keys()
    check = verify_step(unet / "model.onnx", step)
    assert check.error <= check.tolerance == tolerance


@pytest.fixture
def untraced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the seconds of tracing: every graph is the tiny one."""

    def export_into(folder: Path, _load: Any, config: Any, on_stage: Stage, options: Options) -> Report:
        on_stage("load")
        write_json(folder / "config.json", config)
        onnx.save(tiny_model(channels=4, classes=False), folder / "model.onnx")
        cases = (Case(batch=1, sizes={}, error=0.0),)
        return Report(path=folder, network="UNet2DConditionModel", options=options, cases=cases)

    monkeypatch.setattr(ddim_edge_export.bundle_component, "export_into", export_into)


def interrupt_at(component: str, stage: str) -> Callable[[str, str], None]:
    def on_stage(*now: str) -> None:
        if now == (component, stage):
            raise KeyboardInterrupt

    return on_stage


@pytest.mark.usefixtures("untraced")
@pytest.mark.parametrize("stop", [("unet", "fuse"), ("text_encoder", "load")])
def test_an_interrupted_export_goes_on(stop: tuple[str, str], source_of: SourceOf, tmp_path: Path) -> None:
    source, out, parts = source_of("stable-diffusion"), tmp_path / "out", ["unet", "text_encoder"]

    with pytest.raises(KeyboardInterrupt):
        export_folder(source, out, components=parts, fuse_step=True, on_stage=interrupt_at(*stop))
    assert (out / "unet" / "unet_step.onnx").exists() is (stop[0] == "text_encoder")
    export_folder(source, out, components=parts, fuse_step=True)
    assert json.loads((out / "unet" / "export.json").read_text())["fuse_step"] is True
    assert json.loads((out / "text_encoder" / "export.json").read_text())["fuse_step"] is False
    assert "unet/unet_step.onnx" in json.loads((out / "export.json").read_text())["files"]
    assert verify_files(out) == sum(path.is_file() for path in out.rglob("*")) - 1


@pytest.mark.usefixtures("untraced")
def test_a_unet_without_a_step_is_not_gone_on_with(source_of: SourceOf, tmp_path: Path) -> None:
    source, out, parts = source_of("stable-diffusion"), tmp_path / "out", ["unet", "text_encoder"]
    with pytest.raises(KeyboardInterrupt):
        export_folder(source, out, components=parts, on_stage=interrupt_at("text_encoder", "load"))
    with pytest.raises(ConfigError, match="unet is there already, made from other files or with other options"):
        export_folder(source, out, components=parts, fuse_step=True)


@pytest.mark.usefixtures("untraced")
@pytest.mark.parametrize(
    ("family", "changes", "components", "message"),
    [
        ("controlnet", {}, [], "--fuse-step: ControlNets read the sample before the unet does"),
        ("stable-diffusion", {"in_channels": 9}, ["unet"], "--fuse-step: the unet takes 9 channels and predicts 4"),
        ("stable-diffusion", {"out_channels": 8}, ["unet"], "--fuse-step: the unet takes 4 channels and predicts 8"),
        ("stable-diffusion", {}, ["text_encoder"], "--fuse-step is for the unet: add it to --components"),
    ],
)
def test_pipelines_that_have_no_step(
    family: str, changes: dict[str, Any], components: list[str], message: str, tmp_path: Path
) -> None:
    FAMILIES[family](tmp_path / "source")
    change(tmp_path / "source" / "unet" / "config.json", **changes)
    with pytest.raises(ConfigError, match=message):
        export_folder(tmp_path / "source", tmp_path / "out", components=components, fuse_step=True)
    assert not (tmp_path / "out").exists()
