"""Pipelines of several components: what is taken, what an interruption leaves, how it goes on. Nothing is traced."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import ddim_edge_export.bundle_component
from ddim_edge.bundle.read import open_bundle
from ddim_edge.bundle.verify import verify_files
from ddim_edge.errors import BundleError, ConfigError, ExportError
from ddim_edge.graphs.file_hashes import known_sha256
from ddim_edge_export import Report, export_folder
from ddim_edge_export.options import Options
from ddim_edge_export.output.record import write_json
from ddim_edge_export.precision import FP16, FP32
from tests.export.conftest import SourceOf
from tests.helpers.command_line import Invoke
from tests.helpers.hashing import count_reading, forget_in_process, keep_all_hashes
from tests.helpers.tiny_networks import change

from .conftest import Exported, Load

GRAPHS = ["unet", "vae_encoder", "vae_decoder", "text_encoder", "safety_checker"]


def interrupt_at(component: str) -> Callable[[str, str], None]:
    def on_stage(name: str, _stage: str) -> None:
        if name == component:
            raise KeyboardInterrupt

    return on_stage


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_interrupted_export_is_no_bundle_and_goes_on(source: Path, exported: Exported, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        export_folder(source, out, on_stage=interrupt_at("vae_decoder"))
    assert sorted(path.name for path in out.iterdir()) == ["export.json", "unet", "vae_encoder"]
    with pytest.raises(BundleError, match="is unfinished: run the same export again"):
        open_bundle(out)
    with pytest.raises(BundleError, match=r"the export is unfinished\. Run it again"):
        verify_files(out)

    (out / ".text_encoder.killed").mkdir()
    (out / ".ddim-edge-0123.part").touch()
    (out / ".mine").mkdir()
    report = export_folder(source, out)
    assert [name for name, *_ in exported] == GRAPHS
    assert list(report.components) == GRAPHS
    assert not (out / ".text_encoder.killed").exists()
    assert (out / ".mine").exists()
    export_folder(source, tmp_path / "at once")
    assert contents(out) == contents(tmp_path / "at once")


def test_an_interruption_before_anything_is_finished_leaves_nothing(
    source: Path, exported: Exported, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        export_folder(source, tmp_path / "out", on_stage=interrupt_at("unet"))
    assert not (tmp_path / "out").exists()
    assert not exported


@pytest.mark.parametrize("reason", ["dtype", "weights"])
def test_it_does_not_go_on_with_something_else(reason: str, source: Path, exported: Exported, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        export_folder(source, out, on_stage=interrupt_at("vae_decoder"))
    if reason == "weights":
        change(source / "unet" / "config.json", something="else")
    before = contents(out)
    with pytest.raises(ConfigError, match="unet is there already, made from other files or with other options: remove"):
        export_folder(source, out, dtype="fp16" if reason == "dtype" else "fp32")
    assert contents(out) == before
    assert len(exported) == 2


def test_a_finished_bundle_is_taken(source: Path, exported: Exported, tmp_path: Path) -> None:
    export_folder(source, tmp_path / "out", components=["unet"])
    with pytest.raises(ConfigError, match="is there already and is not empty"):
        export_folder(source, tmp_path / "out", components=["unet"])
    assert len(exported) == 1


def test_a_bundle_of_one_network_is_not_taken_for_an_unfinished_export(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_json(out / "export.json", {"network": "UNet2DModel", "files": {}})
    (out / ".git").mkdir()
    with pytest.raises(ConfigError, match="is there already and is not empty"):
        export_folder(source, out)
    assert (out / ".git").is_dir()


def test_some_components(source: Path, exported: Exported, tmp_path: Path) -> None:
    export_folder(source, tmp_path / "out", components=["vae_decoder", "unet"])
    assert sorted(path.parent.name for path in (tmp_path / "out").glob("*/model.onnx")) == ["unet", "vae_decoder"]
    index = json.loads((tmp_path / "out" / "model_index.json").read_text())
    assert index["text_encoder"] == index["safety_checker"] == [None, None]
    assert index["vae"] == ["diffusers", "AutoencoderKL"]
    assert len(exported) == 2


def test_a_component_that_fp16_spoils_stays_in_fp32(
    source: Path, exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = ddim_edge_export.bundle_component.export_into

    def spoilt(folder: Path, load: Load, config: Any, stage: Any, options: Options) -> Report:
        if folder.name == "vae_decoder" and options.precision is FP16:
            load().module.half()
            raise ExportError("values within the AutoencoderKL reach 1e+05, too much for fp16")
        return plain(folder, load, config, stage, options)

    monkeypatch.setattr(ddim_edge_export.bundle_component, "export_into", spoilt)
    report = export_folder(source, tmp_path / "out", components=["unet", "vae_decoder"], dtype="fp16")
    assert [(name, precision) for name, _, precision in exported] == [("unet", FP16), ("vae_decoder", FP32)]
    # The weights of the second try are not the rounded ones of the first.
    assert {str(parameter.dtype) for parameter in exported[1][1].module.parameters()} == {"torch.float32"}
    remark = "kept in fp32: values within the AutoencoderKL reach 1e+05, too much for fp16"
    assert report.components["vae_decoder"].remark == remark
    written = json.loads((tmp_path / "out" / "vae_decoder" / "export.json").read_text())
    assert (written["dtype"], written["remark"]) == ("fp32", remark)


def test_sdxls_autoencoder_stays_in_fp32(source_of: SourceOf, exported: Exported, tmp_path: Path) -> None:
    report = export_folder(source_of("sdxl"), tmp_path / "out", components=["vae_decoder"], dtype="fp16")
    assert report.components["vae_decoder"].remark == "kept in fp32: its config says force_upcast"
    assert exported[0][2] is FP32


@pytest.mark.parametrize(
    "card", ["---\ntags: [x]\nlicense: creativeml-openrail-m\n---\n# Model\n", "# No front matter\n"]
)
def test_the_licence_that_the_source_states(card: str, source: Path, exported: Exported, tmp_path: Path) -> None:
    (source / "README.md").write_text(card)
    export_folder(source, tmp_path / "out", components=["unet"])
    written = json.loads((tmp_path / "out" / "export.json").read_text())
    assert written["licence"] == ("creativeml-openrail-m" if "license" in card else None)
    assert (written["source"], len(exported)) == ("source", 1)


def test_inspect_verify(source: Path, exported: Exported, invoke: Invoke, new_bundle: Callable[..., Path]) -> None:
    out = source.parent / "out"
    export_folder(source, out, components=["unet"])
    shutil.copy(new_bundle() / "unet" / "model.onnx", out / "unet" / "model.onnx")
    assert invoke("inspect", out).code == 0
    assert invoke("inspect", out, "--verify").failed_with("model.onnx is not the file that was exported")
    (out / "unet" / "model.onnx").write_text("unet")
    assert verify_files(out) == len(contents(out)) - 1
    (out / "tokenizer" / "tokenizer.json").unlink()
    with pytest.raises(BundleError, match=r"cannot read .*tokenizer\.json, which was exported"):
        verify_files(out)
    change(out / "export.json", files={"../source/model_index.json": {"sha256": "0", "size": 1}})
    with pytest.raises(BundleError, match="outside the bundle: refused"):
        verify_files(out)
    assert len(exported) == 1


def test_inspect_verifies_the_bundled_model(invoke: Invoke) -> None:
    outcome = invoke("inspect", "fashion-mnist", "--verify")
    assert outcome.code == 0
    assert "files are as they were exported" in outcome.out
    assert json.loads(invoke("inspect", "fashion-mnist", "--verify", "--json").out)["verified"] >= 4


@pytest.mark.usefixtures("exported")
@pytest.mark.parametrize("interrupted", [False, True])
def test_the_first_run_after_an_export_reads_no_file_for_its_hash(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interrupted: bool
) -> None:
    keep_all_hashes(monkeypatch, tmp_path / "cache")
    out = tmp_path / "out"
    if interrupted:
        with pytest.raises(KeyboardInterrupt):
            export_folder(source, out, on_stage=interrupt_at("vae_decoder"))
        forget_in_process(monkeypatch)
    export_folder(source, out)
    forget_in_process(monkeypatch)
    read = count_reading(monkeypatch)
    recorded = json.loads((out / "export.json").read_text())["files"]
    for name in GRAPHS:
        assert known_sha256(out / name / "model.onnx") == recorded[f"{name}/model.onnx"]["sha256"]
    assert read == []
