"""export_with_optimum, without optimum: our own graphs stand in for those that it makes. tests/optimum has the real."""

import builtins
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import ddim_edge
from ddim_edge.cli import cli
from ddim_edge.errors import ConfigError, ExportError
from ddim_edge_export import Report, export_with_optimum, with_optimum
from ddim_edge_export.output.report import read_report
from ddim_edge_export.sources.diffusers_folder import Source
from tests.helpers.exported import Exports


@pytest.fixture
def made(exports: Exports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder whose graphs "optimum" makes of Stable Diffusion. A test may spoil it."""
    graphs = tmp_path / "made"
    exports.export(exports.source("stable-diffusion"), graphs)

    def make(source: Source, folder: Path) -> None:
        for component in source.components:
            if (graphs / component.name).is_dir():
                shutil.copytree(graphs / component.name, folder / component.name)

    def export_ours(folder: Path, *_: Any) -> Report:
        shutil.copytree(graphs / folder.name, folder)
        return read_report(folder)

    monkeypatch.setattr(with_optimum, "export_component", export_ours)  # of the safety checker, which takes long
    monkeypatch.setattr(with_optimum, "check_installed", lambda: None)
    monkeypatch.setattr(with_optimum, "_make_graphs", make)
    return graphs


def test_the_bundle_is_whole_and_runs(made: Path, exports: Exports, tmp_path: Path) -> None:
    report = export_with_optimum(exports.source("stable-diffusion"), tmp_path / "out")
    names = ("unet", "vae_encoder", "vae_decoder", "text_encoder", "safety_checker")
    assert {name: entry.path for name, entry in report.components.items()} == {
        name: tmp_path / "out" / name for name in names
    }
    ours = ddim_edge.load(made, "cpu").generate(prompt="a b", num_steps=2, height=32, width=32)
    images = ddim_edge.load(tmp_path / "out", "cpu").generate(prompt="a b", num_steps=2, height=32, width=32).images
    assert (images == ours.images).all()
    _check_records(tmp_path / "out")


def _check_records(out: Path) -> None:
    """Whether they name the exporter, and the comparison with PyTorch."""
    record = json.loads((out / "export.json").read_text())
    unet = json.loads((out / "unet" / "export.json").read_text())
    assert record["exporter"].startswith("optimum-onnx ")
    assert unet["made_from"]["exporter"] == record["exporter"]
    assert "unet/model.onnx" in record["files"]
    assert len(unet["verification"]["cases"]) == 6


def test_a_graph_that_computes_something_else_is_refused(made: Path, exports: Exports, tmp_path: Path) -> None:
    shutil.copy(made / "vae_decoder" / "model.onnx", made / "vae_encoder" / "model.onnx")
    with pytest.raises(ExportError, match="the AutoencoderKL takes latent_sample, which is unknown"):
        export_with_optimum(exports.source("stable-diffusion"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_graph_that_is_missing_is_refused(made: Path, exports: Exports, tmp_path: Path) -> None:
    shutil.rmtree(made / "text_encoder")
    with pytest.raises(ExportError, match="optimum made no graph of the text_encoder"):
        export_with_optimum(exports.source("stable-diffusion"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("family", "message"),
    [("unconditional", "not a Stable Diffusion folder"), ("controlled", "a ControlNet"), ("sd3", "has a transformer")],
)
@pytest.mark.usefixtures("made")
def test_other_pipelines_are_refused(family: str, message: str, exports: Exports, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        export_with_optimum(exports.source(family), tmp_path / "out")


def test_an_out_that_is_there_is_refused_first(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is there already and is not empty"):
        export_with_optimum(tmp_path / "none", tmp_path.parent)


def test_without_optimum_it_says_what_to_install_and_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(with_optimum, "package_version", lambda _: None)
    with pytest.raises(ConfigError, match=r"in an environment of its own, .* pip install 'optimum-onnx\[onnxruntime\]"):
        export_with_optimum(tmp_path, tmp_path / "out")


def test_beside_packages_that_do_not_fit_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def refuse(name: str, *arguments: Any, **keywords: Any) -> Any:
        if name.startswith("optimum"):
            raise ImportError("cannot import name 'x' from 'transformers'")
        return original(name, *arguments, **keywords)

    monkeypatch.setattr(with_optimum, "package_version", lambda _: "0.1.0")
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ConfigError, match=r"does not work with the packages beside it \(ImportError: cannot import"):
        export_with_optimum(tmp_path, tmp_path / "out")


@pytest.mark.parametrize("option", [["--dtype", "fp16"], ["--fuse-step"], ["--components", "unet"], ["--no-build"]])
def test_our_exporters_options_do_not_apply(option: list[str], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"{option[0]} does not apply to --with optimum"):
        CliRunner().invoke(
            cli, ["export", "in", str(tmp_path / "out"), "--with", "optimum", *option], catch_exceptions=False
        )
