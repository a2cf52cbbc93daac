"""export_folder and the command: what comes out of a folder."""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import onnxruntime
import pytest
import torch
from click.testing import CliRunner

import ddim_edge_export.bundle_component
from ddim_edge.bundle.format import format_keys
from ddim_edge.cli import cli
from ddim_edge.diffusion.samplers import DdimConfig
from ddim_edge.errors import ConfigError
from ddim_edge_export import Report, export_folder
from ddim_edge_export.verify.against_torch import Case

Diffusers: Any = diffusers  # its classes are not annotated


@pytest.fixture
def untraced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the seconds of tracing where a test is about the other files."""

    def export_into(folder: Path, *_: Any) -> Report:
        return Report(path=folder, network="UNet2DModel", cases=(Case(batch=1, sizes={}, error=0.0),))

    monkeypatch.setattr(ddim_edge_export.bundle_component, "export_into", export_into)


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
