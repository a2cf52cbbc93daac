"""export_folder and the command: which folders are taken, and what comes out."""

import hashlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import onnxruntime
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file, save_file

import ddim_edge_export.bundle_component
from ddim_edge.bundle.format import format_keys
from ddim_edge.cli import cli
from ddim_edge.diffusion.samplers import DdimConfig
from ddim_edge.errors import ConfigError, DdimEdgeError, ExportError
from ddim_edge_export import Report, export_folder
from ddim_edge_export.verify.against_torch import Case

from .conftest import MakeUnet

Diffusers: Any = diffusers  # its classes are not annotated
SAFETENSORS = "diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def pipeline_folder(make_unet: MakeUnet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A class-conditional DDPMPipeline as diffusers saves it, with the names of its classes."""
    folder = tmp_path_factory.mktemp("source") / "pipeline"
    scheduler = Diffusers.DDPMScheduler(beta_schedule="squaredcos_cap_v2", prediction_type="v_prediction")
    Diffusers.DDPMPipeline(make_unet(num_class_embeds=3), scheduler).save_pretrained(folder)
    change(folder / "model_index.json", id2label={"0": "coat", "1": "bag"}, null_class=2)
    return folder


@pytest.fixture
def untraced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the seconds of tracing where a test is about the other files."""

    def export_into(folder: Path, *_: Any) -> Report:
        return Report(path=folder, network="UNet2DModel", cases=(Case(batch=1, sizes={}, error=0.0),))

    monkeypatch.setattr(ddim_edge_export.bundle_component, "export_into", export_into)


def change(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "source"))


@pytest.mark.slow
def test_the_command_exports_a_unet_folder(unet_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    result = CliRunner().invoke(cli, ["export", str(unet_folder), str(out), "--assume-ddim"], catch_exceptions=False)

    assert result.exit_code == 0
    stages = [line.partition(":")[0] for line in result.stderr.splitlines()]
    assert stages == ["unet load", "unet export", "unet fit", "unet verify", "bundle write"]
    assert result.stdout.startswith("unet: UNet2DModel in fp32, ")
    assert result.stdout.splitlines()[1].startswith(f"{out}: ")
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]

    record = json.loads((out / "export.json").read_text())
    assert format_keys().items() <= record.items()
    written = record["files"]
    assert sorted(written) == [
        "model_index.json",
        "scheduler/scheduler_config.json",
        "unet/config.json",
        "unet/export.json",
        "unet/model.onnx",
    ]
    for name, entry in written.items():
        assert entry["sha256"] == hashlib.sha256((out / name).read_bytes()).hexdigest()

    session = onnxruntime.InferenceSession(out / "unet/model.onnx", providers=["CPUExecutionProvider"])
    random = np.random.default_rng(0)
    sample = random.standard_normal((4, 1, 10, 6), dtype=np.float32)
    timestep, labels = np.array([0, 999, 5.5, 400], np.float32), np.array([2, 0, 1, 1])
    unet = Diffusers.UNet2DModel.from_pretrained(unet_folder)
    with torch.no_grad():
        expected = unet(*map(torch.from_numpy, (sample, timestep, labels))).sample.numpy()
    (got,) = session.run(["out_sample"], {"sample": sample, "timestep": timestep, "class_labels": labels})
    assert np.abs(got - expected).max() <= 1e-4 * expected.std()


@pytest.mark.usefixtures("untraced")
def test_a_bare_network_gets_the_defaults_of_ddim_if_told_so(unet_folder: Path, tmp_path: Path) -> None:
    export_folder(unet_folder, tmp_path / "out", assume_ddim=True)
    assert json.loads((tmp_path / "out/export.json").read_text())["scheduler"] == "assumed"
    assert json.loads((tmp_path / "out/model_index.json").read_text()) == {"_class_name": "DDIMPipeline"}
    written = json.loads((tmp_path / "out/scheduler/scheduler_config.json").read_text())
    defaults = dict(Diffusers.DDIMScheduler().config)
    assert {key: defaults[key] for key in written if key != "_class_name"} | {"_class_name": "DDIMScheduler"} == written
    assert DdimConfig.from_json(written) == DdimConfig()


@pytest.mark.usefixtures("untraced")
def test_a_pipeline_keeps_its_scheduler_and_its_labels(pipeline_folder: Path, tmp_path: Path) -> None:
    export_folder(pipeline_folder, tmp_path / "out")
    index = json.loads((tmp_path / "out/model_index.json").read_text())
    assert index == json.loads((pipeline_folder / "model_index.json").read_text())
    assert (index["id2label"], index["null_class"]) == ({"0": "coat", "1": "bag"}, 2)
    scheduler = "scheduler/scheduler_config.json"
    assert json.loads((tmp_path / "out" / scheduler).read_text()) == json.loads(
        (pipeline_folder / scheduler).read_text()
    )
    assert json.loads((tmp_path / "out/export.json").read_text())["scheduler"] == "source"


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
    refused(source, tmp_path, ConfigError, "has no unet: nothing can be sampled; give that of a whole pipeline")


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


@pytest.mark.parametrize("package", ["torch", "onnxscript", "onnxruntime", "safetensors", "diffusers"])
def test_without_the_extra_one_line_names_it(
    package: str, unet_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "ddim_edge_export"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigError) as caught:
        CliRunner().invoke(
            cli, ["export", str(unet_folder), str(tmp_path / "out"), "--assume-ddim"], catch_exceptions=False
        )
    message = str(caught.value)
    assert message.startswith(f"export needs {package}, which is not installed: pip install 'torch>=2.9' 'onnx>=1.18'")


@pytest.mark.usefixtures("untraced")
def test_the_authors_defaults_are_a_file_of_the_bundle(pipeline_folder: Path, tmp_path: Path) -> None:
    arguments = ["export", str(pipeline_folder), str(tmp_path / "out"), "--no-build"]
    given = ["--default", "guidance_scale=2.5", "--default", "num_steps=12"]
    assert CliRunner().invoke(cli, [*arguments, *given]).exit_code == 0
    written = json.loads((tmp_path / "out" / "generation_config.json").read_text())
    assert written == {"num_steps": 12, "guidance_scale": 2.5}
    assert "generation_config.json" in json.loads((tmp_path / "out" / "export.json").read_text())["files"]


@pytest.mark.usefixtures("untraced")
def test_the_command_prints_one_line_of_json(pipeline_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    outcome = CliRunner().invoke(cli, ["export", str(pipeline_folder), str(out), "--json"])
    assert outcome.stdout.count("\n") == 1
    facts = json.loads(outcome.stdout)
    assert (facts["bundle"], facts["built"]) == (str(out), None)
    assert facts["bytes"] == sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    for name, component in facts["components"].items():
        record = json.loads((out / name / "export.json").read_text())
        assert (component["network"], component["deviation"]) == (record["network"], record["verification"]["error"])
    assert "unet" in facts["components"]
    assert outcome.stderr.endswith("write: writing the bundle\n")


@pytest.mark.usefixtures("untraced")
def test_the_quiet_command_prints_nothing(pipeline_folder: Path, tmp_path: Path) -> None:
    outcome = CliRunner().invoke(cli, ["export", str(pipeline_folder), str(tmp_path / "out"), "--quiet"])
    assert (outcome.exit_code, outcome.output) == (0, "")


@pytest.mark.usefixtures("untraced")
def test_without_defaults_there_is_no_such_file(pipeline_folder: Path, tmp_path: Path) -> None:
    export_folder(pipeline_folder, tmp_path / "out")
    assert not (tmp_path / "out" / "generation_config.json").exists()
