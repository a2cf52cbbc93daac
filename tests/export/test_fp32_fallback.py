"""``export --keep-fp32`` and ``--fp32-too``: what stays in fp32, what is there twice, and that a run changes over."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import ddim_edge
import ddim_edge_export.bundle_component
from ddim_edge.errors import ConfigError, ExportError
from ddim_edge.generation.pipeline import SlowWarning
from ddim_edge.runtime.sessions.fp16_check import PrecisionWarning
from ddim_edge_export import Report, export_folder
from ddim_edge_export.networks.network import Network
from ddim_edge_export.options import Options
from ddim_edge_export.output.record import write_json
from ddim_edge_export.verify.against_torch import Case
from tests.helpers.command_line import Invoke
from tests.helpers.tiny_networks import tiny_autoencoder, unet

from .conftest import SourceOf

Load = Callable[[], Network]
PARTS = ["unet", "text_encoder", "vae_decoder"]
FLOAT, HALF = TensorProto.FLOAT, TensorProto.FLOAT16


@pytest.fixture(scope="module")
def bundle(source_of: SourceOf, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline in fp16 whose text encoder is in fp32, and whose other networks are in both. Leave it as it is."""
    folder = tmp_path_factory.mktemp("exported")
    source = Path(shutil.copytree(source_of("stable-diffusion"), folder / "source"))
    blocks = {"down_block_types": ("CrossAttnDownBlock2D",), "up_block_types": ("UpBlock2D",), "mid_block_type": None}
    unet(**blocks, block_out_channels=(8,), attention_head_dim=2).save_pretrained(source / "unet")
    tiny_autoencoder(folder / "vae")
    options: dict[str, Any] = {"keep_fp32": ["text_encoder"], "fp32_too": ["unet", "vae_decoder"], "fuse_step": True}
    out = folder / "bundle"
    report = export_folder(source, out, components=PARTS, vae=folder / "vae", dtype="fp16", **options)
    assert [name for name, part in report.components.items() if part.fp32_fallback_cases] == ["unet", "vae_decoder"]
    return out


def float_types(graph: Path) -> set[int]:
    """The floating-point types of a graph's inputs and outputs."""
    loaded = onnx.load(graph).graph
    kinds = {value.type.tensor_type.elem_type for value in (*loaded.input, *loaded.output)}
    return kinds & {FLOAT, HALF}


@pytest.mark.slow
def test_the_graphs_and_their_types(bundle: Path) -> None:
    graphs = {path.relative_to(bundle).as_posix(): float_types(path) for path in bundle.rglob("*.onnx")}
    assert graphs == {
        "unet/model.onnx": {HALF, FLOAT},  # the timestep is float32
        "unet/unet_step.onnx": {HALF, FLOAT},
        "unet/model.fp32.onnx": {FLOAT},
        "text_encoder/model.onnx": {FLOAT},
        "vae_decoder/model.onnx": {HALF},
        "vae_decoder/model.fp32.onnx": {FLOAT},
    }


@pytest.mark.slow
def test_what_export_json_says(bundle: Path) -> None:
    records = {name: json.loads((bundle / name / "export.json").read_text()) for name in PARTS}
    said = {name: (entry["dtype"], entry["keep_fp32"], entry["fp32_too"]) for name, entry in records.items()}
    assert said == {
        "unet": ("fp16", False, True),
        "text_encoder": ("fp32", True, False),
        "vae_decoder": ("fp16", False, True),
    }
    compared = records["vae_decoder"]["verification"]
    assert 0 < compared["fp32"]["error"] <= compared["fp32"]["tolerance"] == 1e-4
    assert compared["fp32"]["error"] < compared["error"]
    assert len(compared["fp32"]["cases"]) == len(compared["cases"])
    assert "fp32" not in records["text_encoder"]["verification"]


@pytest.mark.slow
def test_inspect_shows_both_forms_and_knows_their_hashes(bundle: Path, invoke: Invoke, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(bundle, tmp_path / "copy"))
    facts = json.loads(invoke("inspect", copy, "--verify", "--json").out)
    assert {graph["name"]: graph["outputs"][0]["dtype"] for graph in facts["graphs"]} == {
        "text_encoder": "float32",
        "unet": "float16",
        "unet.fp32": "float32",
        "unet_step": "float16",
        "vae_decoder": "float16",
        "vae_decoder.fp32": "float32",
    }
    assert facts["verified"] == sum(path.is_file() for path in copy.rglob("*")) - 1
    shutil.copy(copy / "vae_decoder" / "model.onnx", copy / "vae_decoder" / "model.fp32.onnx")
    assert invoke("inspect", copy, "--verify").failed_with("model.fp32.onnx is not the file that was exported")


def generate(folder: Path) -> ddim_edge.Result:
    with pytest.warns(SlowWarning):
        pipeline = ddim_edge.load(folder, "cpu")
    return pipeline.generate(prompt="a b", num_images=2, num_steps=2, seed=3)


def overflow(graph: Path) -> None:
    """Multiply what it returns by 60,000 twice: a CPU computes most of fp16 in fp32, so once might do."""
    model = onnx.load(graph)
    (output,) = model.graph.output
    (last,) = (node for node in model.graph.node if output.name in node.output)
    last.output[list(last.output).index(output.name)] = "before"
    model.graph.initializer.append(numpy_helper.from_array(np.array(6e4, np.float16), "gain"))
    model.graph.node.append(helper.make_node("Mul", ["before", "gain"], ["large"]))
    model.graph.node.append(helper.make_node("Mul", ["large", "gain"], [output.name]))
    onnx.save(model, graph)


@pytest.mark.slow
def test_a_run_changes_over_to_the_fp32_form_where_fp16_fails(bundle: Path, tmp_path: Path) -> None:
    whole, failing = (Path(shutil.copytree(bundle, tmp_path / name)) for name in ("whole", "failing"))
    (whole / "vae_decoder" / "model.fp32.onnx").replace(whole / "vae_decoder" / "model.onnx")
    overflow(failing / "vae_decoder" / "model.onnx")
    with pytest.warns(PrecisionWarning, match="vae_decoder returned NaN or infinity in fp16, and runs in fp32"):
        found = generate(failing)
    np.testing.assert_array_equal(found.images, generate(whole).images)
    assert found.images.std() > 1


@pytest.mark.slow
def test_a_run_in_fp16_that_holds_never_opens_it(bundle: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(bundle, tmp_path / "copy"))
    overflow(copy / "vae_decoder" / "model.fp32.onnx")
    np.testing.assert_array_equal(generate(copy).images, generate(bundle).images)


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was exported, without the seconds of tracing; a graph is but its precision."""
    calls: list[str] = []
    cases = (Case(batch=1, sizes={}, error=0.0),)

    def export_into(folder: Path, load: Load, config: Any, _stage: Any, options: Options) -> Report:
        calls.append(f"{folder.name} {options.precision.name}")
        write_json(folder / "config.json", config)
        (folder / "model.onnx").write_text(options.precision.name)
        return Report(path=folder, network=load().name, options=options, cases=cases)

    def export_fp32_fallback(folder: Path, load: Load, _stage: Any, _options: Options) -> tuple[Case, ...]:
        # Its weights are not the ones that were rounded for the graph before it.
        assert {str(parameter.dtype) for parameter in load().module.parameters()} == {"torch.float32"}
        calls.append(f"{folder.name} too")
        (folder / "model.fp32.onnx").write_text("fp32")
        return cases

    monkeypatch.setattr(ddim_edge_export.bundle_component, "export_into", export_into)
    monkeypatch.setattr(ddim_edge_export.bundle_component, "export_fp32_fallback", export_fp32_fallback)
    return calls


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_all_are_those_that_are_not_kept(source_of: SourceOf, exported: list[str], tmp_path: Path) -> None:
    options: dict[str, Any] = {"keep_fp32": ["controlnet_1"], "fp32_too": ["all"]}
    names = ["unet", "controlnet", "controlnet_1"]
    export_folder(source_of("controlnet"), tmp_path / "out", components=names, dtype="fp16", **options)
    assert exported == ["unet fp16", "unet too", "controlnet fp16", "controlnet too", "controlnet_1 fp32"]


def test_an_interrupted_export_goes_on(source_of: SourceOf, exported: list[str], tmp_path: Path) -> None:
    source, out = source_of("stable-diffusion"), tmp_path / "out"
    options: dict[str, Any] = {"components": PARTS, "dtype": "fp16", "keep_fp32": ["text_encoder"]}

    def interrupt(name: str, _stage: str) -> None:
        if name == "vae_decoder.fp32":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_folder(source, out, **options, fp32_too=["all"], on_stage=interrupt)
    # A component is there whole or not at all.
    assert sorted(path.name for path in out.iterdir()) == ["export.json", "unet"]
    with pytest.raises(ConfigError, match="unet is there already, made from other files or with other options"):
        export_folder(source, out, **options)
    exported.clear()
    report = export_folder(source, out, **options, fp32_too=["vae_decoder", "unet"])
    assert exported == ["vae_decoder fp16", "vae_decoder too", "text_encoder fp32"]
    assert report.components["unet"].fp32_fallback_cases
    export_folder(source, tmp_path / "at once", **options, fp32_too=["all"])
    assert contents(out) == contents(tmp_path / "at once")


def test_what_fp16_spoils_is_in_fp32_once(source_of: SourceOf, exported: list[str], tmp_path: Path) -> None:
    options: dict[str, Any] = {"components": ["vae_decoder"], "dtype": "fp16", "fp32_too": ["vae_decoder"]}
    report = export_folder(source_of("sdxl"), tmp_path / "out", **options).components["vae_decoder"]
    assert exported == ["vae_decoder fp32"]
    assert report.remark == "kept in fp32: its config says force_upcast"
    written = json.loads((tmp_path / "out" / "vae_decoder" / "export.json").read_text())
    assert (written["fp32_too"], written["made_from"]["fp32_too"]) == (False, True)


@pytest.mark.usefixtures("exported")
def test_an_fp32_form_that_is_not_the_network_is_no_bundle(
    source_of: SourceOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: Any) -> None:
        raise ExportError("the exported graph is not the network")

    monkeypatch.setattr(ddim_edge_export.bundle_component, "export_fp32_fallback", fail)
    with pytest.raises(ExportError, match="is not the network"):
        export_folder(source_of("stable-diffusion"), tmp_path / "out", dtype="fp16", fp32_too=["unet"])
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("exported")
@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"--dtype": "fp16", "--keep-fp32": "vae_decode"}, ["--keep-fp32 component", "Did you mean 'vae_decoder'?"]),
        ({"--dtype": "fp16", "--fp32-too": "unet,al"}, ["--fp32-too component 'al' is unknown. Did you mean 'all'?"]),
        ({"--dtype": "fp16", "--keep-fp32": "all"}, ["--keep-fp32 component 'all' is unknown", "Valid: unet,"]),
        ({"--dtype": "fp16", "--fp32-too": "controlnet"}, ["component 'controlnet' is unknown"]),
        ({"--dtype": "bf16", "--components": "unet", "--keep-fp32": "vae_decoder"}, ["is unknown", "Valid: unet."]),
        ({"--dtype": "fp16", "--keep-fp32": "unet", "--fp32-too": "unet"}, ["unet is named by --keep-fp32 and by"]),
        ({"--keep-fp32": "unet"}, ["--keep-fp32: everything is in fp32 already; add --dtype fp16"]),
        ({"--fp32-too": "all", "--quantize": "int8-weights"}, ["--fp32-too: everything is in fp32 already"]),
        ({"--dtype": "bf16", "--fp32-too": "unet"}, ["--fp32-too is for values that overflow in fp16, and bf16"]),
    ],
)
def test_refused_before_anything_is_exported(
    options: dict[str, str], parts: list[str], source_of: SourceOf, invoke: Invoke, tmp_path: Path
) -> None:
    given = [word for pair in options.items() for word in pair]
    assert invoke("export", source_of("stable-diffusion"), tmp_path / "out", *given).failed_with(*parts)
    assert not (tmp_path / "out").exists()
