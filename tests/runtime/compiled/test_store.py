"""The cache of what was compiled: what fits, and why the rest does not."""

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnx.external_data_helper import set_external_data

from ddim_edge.graphs.fingerprint import graph_sha256
from ddim_edge.runtime.compiled.entry import write_record
from ddim_edge.runtime.compiled.messages import build_command, missing_message
from ddim_edge.runtime.compiled.recipe import provider_options
from ddim_edge.runtime.compiled.store import Found, find
from ddim_edge.runtime.providers.options import check_options
from tests.helpers.tiny_bundles import tiny_model, write_bundle
from tests.runtime.compiled.recipes import GPU, SHAPES, build, recipe_of


@pytest.fixture
def graph(new_bundle: Callable[..., Path]) -> Path:
    return new_bundle(external=True) / "unet" / "model.onnx"


def test_what_was_built_is_found_with_its_options(graph: Path) -> None:
    built = build(recipe_of(graph))
    ((found,), reasons, _) = find(graph, "tensorrt", machine=GPU)
    assert (found, reasons) == (built, ())
    assert (found.graph, found.optimized, found.session_entries, found.batches) == (graph, False, {}, (2,))
    assert (found.seconds, found.size) == (12.5, 4)
    profile = "sample:2x4x64x64,timestep:2"
    assert found.options == {
        "trt_engine_cache_enable": "True",
        "trt_engine_cache_path": str(built.folder),
        "trt_timing_cache_enable": "True",
        "trt_timing_cache_path": str(built.folder),
        "trt_fp16_enable": "True",
        "trt_int8_enable": "False",
        "trt_profile_min_shapes": profile,
        "trt_profile_opt_shapes": profile,
        "trt_profile_max_shapes": profile,
        "trt_max_workspace_size": str(2**30),
    }
    check_options("tensorrt", found.options)


def test_only_the_very_shapes_fit(graph: Path) -> None:
    built = build(recipe_of(graph))
    assert built.fits({**SHAPES, "class_labels": (2,)})
    assert not built.fits({**SHAPES, "timestep": (1,)})
    assert not built.fits({"sample": (2, 4, 64, 64)})
    assert dataclasses.replace(built, recipe=recipe_of(graph, shapes={})).fits(SHAPES)


def test_the_newest_is_the_first(graph: Path) -> None:
    old, new = (build(recipe_of(graph, precision=precision)) for precision in ("fp32", "fp16"))
    assert find(graph, "tensorrt", machine=GPU).fitting == (new, old)


def test_what_was_built_in_another_precision_does_not_fit(graph: Path) -> None:
    build(recipe_of(graph, precision="fp16"))
    for precision in ("float16", "auto"):
        assert find(graph, "tensorrt", machine=GPU, precision=precision).fitting
    found = find(graph, "tensorrt", machine=GPU, precision="float32")
    assert found == Found((), ("built with --precision float16",))
    message = missing_message(graph, "tensorrt", found, precision="bfloat16")
    assert message.endswith("--provider tensorrt --batch 1 --precision bfloat16`")


def test_an_epcontext_model_and_an_optimized_graph_lie_in_the_cache(graph: Path) -> None:
    for provider in ("openvino", "tensorrt-rtx", "cpu"):
        built = build(recipe_of(graph, provider=provider))
        (found,) = find(graph, provider, machine=GPU).fitting
        assert found.graph == built.folder / "model.onnx"
        assert found.optimized == (provider == "cpu")
        assert found.session_entries == ({} if provider == "cpu" else {"session.disable_model_compile": "1"})


def test_options_of_tensorrt_rtx(graph: Path, tmp_path: Path) -> None:
    options = provider_options(recipe_of(graph, provider="tensorrt-rtx"), tmp_path)
    assert options["nv_profile_opt_shapes"] == "sample:2x4x64x64,timestep:2"
    assert options["nv_runtime_cache_path"] == str(tmp_path / "runtime")
    assert options["nv_max_workspace_size"] == str(2**30)
    check_options("tensorrt-rtx", options)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"compiler": "TensorRT 10.3.0"}, "built with TensorRT 10.3.0, this is 10.9.0"),
        ({"driver": "550.1"}, "built with driver 550.1, this is 570.86.10"),
        ({"onnxruntime": "1.30.0"}, "built with ONNX Runtime 1.30.0, this is 1.32.0"),
        ({"device": "Orin 8.7"}, "built for Orin 8.7, this is NVIDIA RTX A2000 8.6"),
    ],
)
def test_what_was_built_on_another_machine_says_why_it_does_not_fit(
    graph: Path, change: dict[str, str], reason: str
) -> None:
    build(recipe_of(graph, machine=dataclasses.replace(GPU, **change)))
    found = find(graph, "tensorrt", machine=GPU)
    assert found == Found((), (reason,))
    message = missing_message(graph, "tensorrt", found, 2, 512, 768)
    assert reason in message
    command = f"ddim-edge build {graph.parents[1]} --provider tensorrt --batch 2 --height 512 --width 768"
    assert f"Run `{command}`" in message


def test_options_that_change_what_is_built_must_be_the_same(graph: Path) -> None:
    level = {"trt_builder_optimization_level": "5"}
    built = build(recipe_of(graph, options=level))
    run_only = {"trt_cuda_graph_enable": "True"}
    (found,) = find(graph, "tensorrt", options={**level, **run_only}, machine=GPU).fitting
    assert found == built
    assert found.options["trt_builder_optimization_level"] == "5"
    other = find(graph, "tensorrt", options=run_only, machine=GPU)
    assert other == Found((), ("built with --provider-option trt_builder_optimization_level=5",))
    sparse = {"trt_sparsity_enable": "True", **run_only}
    message = missing_message(graph, "tensorrt", find(graph, "tensorrt", options=sparse, machine=GPU), options=sparse)
    assert message.endswith("--batch 1 --provider-option trt_sparsity_enable=True`")


def test_messages_without_anything_that_fits(graph: Path) -> None:
    assert "nothing is built" in missing_message(graph, "tensorrt", find(graph, "tensorrt"))
    build(recipe_of(graph))
    assert "what is built is for sample 2x4x64x64, timestep 2" in missing_message(
        graph, "tensorrt", find(graph, "tensorrt", machine=GPU), 4
    )
    assert build_command(Path("my model/unet/model.onnx"), "openvino") == (
        "ddim-edge build 'my model' --provider openvino"
    )


def test_a_graph_that_changed_does_not_fit_and_says_so(graph: Path) -> None:
    build(recipe_of(graph))
    weights = graph.with_name("model.onnx_data")
    weights.write_bytes(bytes(weights.stat().st_size))
    assert find(graph, "tensorrt", machine=GPU) == Found((), ("unet has changed since",))


def test_an_unfinished_or_foreign_folder_is_not_used(graph: Path) -> None:
    built = build(recipe_of(graph))
    record = built.folder / "built.json"
    contents = record.read_text()
    for broken in ("", "{}", contents.replace('"format": 1', '"format": 99'), contents.replace('"shapes"', '"sizes"')):
        record.write_text(broken)
        assert find(graph, "tensorrt", machine=GPU) == Found((), ())
    record.unlink()
    assert find(graph, "tensorrt", machine=GPU) == Found((), ())


def test_a_folder_with_a_damaged_file_is_not_used_and_a_timing_cache_may_change(graph: Path) -> None:
    built = build(recipe_of(graph))
    (built.folder / "of_sm86.timing").write_bytes(b"timed since")
    assert find(graph, "tensorrt", machine=GPU).fitting
    for contents, fault in ((b"12", "not the file"), (b"1243", "not the file"), (None, "is missing")):
        (built.folder / "an.engine").unlink()
        if contents is not None:
            (built.folder / "an.engine").write_bytes(contents)
        found = find(graph, "tensorrt", machine=GPU)
        assert (found.fitting, len(found.damaged)) == ((), 1)
        assert f"{built.folder} is damaged: an.engine" in found.damaged[0]
        assert fault in missing_message(graph, "tensorrt", found)


def test_a_compiled_graph_goes_through_the_checks_of_any_graph(graph: Path, tmp_path: Path) -> None:
    recipe = recipe_of(graph, provider="cpu")
    folder = build(recipe).folder
    (tmp_path / "secret").write_bytes(bytes(999))
    inside, outside = folder / "weights", Path(os.path.relpath(tmp_path / "secret", folder))
    inside.symlink_to(outside)
    for location in (str(outside), "weights"):
        model = tiny_model()
        weights = numpy_helper.from_array(np.zeros(1, np.float32), "gain")
        set_external_data(weights, location)
        weights.ClearField("raw_data")
        model.graph.initializer[0].CopyFrom(weights)
        onnx.save(model, folder / "model.onnx")
        write_record(folder, recipe, graph_sha256(graph), 1)
        found = find(graph, "cpu", machine=GPU)
        assert not found.fitting
        assert "outside the bundle" in found.damaged[0]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sha256", {}),
        ("sha256", None),
        ("files", {"../an.engine": 4}),
        ("seconds", "12"),
        ("date", 3),
        ("provider", "cuda"),
        ("shapes", {"sample": 4}),
        ("stamps", []),
        ("bytes", -1),
    ],
)
def test_a_record_with_other_values_is_not_used(graph: Path, key: str, value: object) -> None:
    record = build(recipe_of(graph)).folder / "built.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), key: value}))
    assert find(graph, "tensorrt", machine=GPU) == Found((), ())


def test_another_bundle_of_the_same_component_is_no_reason(graph: Path, tmp_path: Path) -> None:
    other = write_bundle(tmp_path / "other", null_class=None) / "unet" / "model.onnx"
    build(recipe_of(other))
    assert find(graph, "tensorrt", machine=GPU) == Found((), ())
