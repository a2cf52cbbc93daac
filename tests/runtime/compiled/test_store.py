"""The cache of what was compiled: what its keys depend on, what fits, and why the rest does not."""

import dataclasses
import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import numpy_helper
from onnx.external_data_helper import set_external_data

from ddim_edge.errors import ConfigError
from ddim_edge.graphs import fingerprint as graph_hash
from ddim_edge.graphs.fingerprint import graph_sha256, graph_stamps
from ddim_edge.runtime.compiled import store as compiled
from ddim_edge.runtime.compiled.entry import Compiled, write_record
from ddim_edge.runtime.compiled.machine import Machine
from ddim_edge.runtime.compiled.messages import build_command, missing_message
from ddim_edge.runtime.compiled.places import bundle_cache, cached_folders, user_cache
from ddim_edge.runtime.compiled.recipe import Recipe, provider_options
from ddim_edge.runtime.compiled.store import Found, find
from ddim_edge.runtime.providers.options import check_options
from tests.helpers.hashing import count_reading, forget_in_process, keep_all_hashes
from tests.helpers.tiny_bundles import tiny_model, write_bundle

GPU = Machine("NVIDIA RTX A2000 8.6", "570.86.10", "1.32.0", "TensorRT 10.9.0")
SHAPES = {"sample": (2, 4, 64, 64), "timestep": (2,)}


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DDIM_EDGE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def graph(new_bundle: Callable[..., Path]) -> Path:
    return new_bundle(external=True) / "unet" / "model.onnx"


def _recipe(graph: Path, **changes: Any) -> Recipe:
    return dataclasses.replace(Recipe("tensorrt", graph, SHAPES, GPU, "fp16", 2**30), **changes)


def _built(recipe: Recipe, cache: Path | None = None) -> Compiled:
    sha256 = graph_sha256(recipe.graph)
    folder = recipe.folder(cache or user_cache(), sha256)
    folder.mkdir(parents=True)
    (folder / "an.engine").write_bytes(b"1234")
    if recipe.provider != "tensorrt":
        onnx.save(tiny_model(), folder / "model.onnx")
    return write_record(folder, recipe, sha256, 12.5)


_texts = st.text(min_size=1, max_size=5)
_shapes = st.dictionaries(_texts, st.lists(st.integers(1, 9), max_size=4).map(tuple), max_size=3)
_machines = st.builds(Machine, _texts, st.none() | _texts, _texts, st.none() | _texts)
_recipes = st.builds(
    Recipe,
    st.sampled_from(("cpu", "tensorrt", "openvino")),
    st.just(Path("/bundle/unet/model.onnx")),
    _shapes,
    _machines,
    st.sampled_from((None, "fp32", "fp16", "int8")),
    st.none() | st.integers(1, 99),
    st.dictionaries(_texts, _texts, max_size=2),
)


@given(_recipes, _recipes, st.sampled_from("ab"), st.sampled_from("ab"))
def test_a_key_is_the_same_for_the_same_ingredients_and_for_no_others(
    one: Recipe, other: Recipe, one_sha256: str, other_sha256: str
) -> None:
    same = (one, one_sha256) == (other, other_sha256)
    assert (one.key(one_sha256) == other.key(other_sha256)) == same


@given(_recipes, st.data())
def test_every_ingredient_changes_the_key(recipe: Recipe, data: st.DataObject) -> None:
    changes: dict[str, Any] = {
        "provider": "tensorrt-rtx",
        "graph": Path("/bundle/vae_decoder/model.onnx"),
        "shapes": {**recipe.shapes, "added": (3,)},
        "precision": "bf16",
        "workspace": 100,
        "options": {"added": "1"},
        **{f"machine.{field.name}": "something new" for field in dataclasses.fields(Machine)},
    }
    name = data.draw(st.sampled_from(sorted(changes)))
    machine = dataclasses.replace(recipe.machine, **{name.partition(".")[2]: changes[name]}) if "." in name else None
    changed = dataclasses.replace(recipe, **({"machine": machine} if machine else {name: changes[name]}))
    assert changed.key("a") != recipe.key("a")
    assert recipe.key("b") != recipe.key("a")


def test_neither_path_nor_time_of_a_bundle_is_an_ingredient(graph: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(graph.parents[1], tmp_path / "elsewhere")) / "unet" / "model.onnx"
    os.utime(copy, (1, 1))
    assert graph_stamps(copy) != graph_stamps(graph)
    assert graph_sha256(copy) == graph_sha256(graph)
    assert _recipe(copy).key("a") == _recipe(graph).key("a")


@pytest.mark.parametrize("name", ["model.onnx", "model.onnx_data"])
def test_the_hash_is_of_the_graph_and_of_its_weights(graph: Path, name: str) -> None:
    before = graph_sha256(graph)
    path = graph.with_name(name)
    contents = bytearray(path.read_bytes())
    contents[contents.find(b"unet")] ^= 1  # the graph's name, or some byte of the weights
    path.write_bytes(contents)
    assert graph_sha256(graph) != before


def test_what_was_built_is_found_with_its_options(graph: Path) -> None:
    built = _built(_recipe(graph))
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
    built = _built(_recipe(graph))
    assert built.fits({**SHAPES, "class_labels": (2,)})
    assert not built.fits({**SHAPES, "timestep": (1,)})
    assert not built.fits({"sample": (2, 4, 64, 64)})
    assert dataclasses.replace(built, recipe=_recipe(graph, shapes={})).fits(SHAPES)


def test_the_newest_is_the_first(graph: Path) -> None:
    old, new = (_built(_recipe(graph, precision=precision)) for precision in ("fp32", "fp16"))
    assert find(graph, "tensorrt", machine=GPU).fitting == (new, old)


def test_what_was_built_in_another_precision_does_not_fit(graph: Path) -> None:
    _built(_recipe(graph, precision="fp16"))
    for precision in ("float16", "auto"):
        assert find(graph, "tensorrt", machine=GPU, precision=precision).fitting
    found = find(graph, "tensorrt", machine=GPU, precision="float32")
    assert found == Found((), ("built with --precision float16",))
    message = missing_message(graph, "tensorrt", found, precision="bfloat16")
    assert message.endswith("--provider tensorrt --batch 1 --precision bfloat16`")


def test_an_epcontext_model_and_an_optimized_graph_lie_in_the_cache(graph: Path) -> None:
    for provider in ("openvino", "tensorrt-rtx", "cpu"):
        built = _built(_recipe(graph, provider=provider))
        (found,) = find(graph, provider, machine=GPU).fitting
        assert found.graph == built.folder / "model.onnx"
        assert found.optimized == (provider == "cpu")
        assert found.session_entries == ({} if provider == "cpu" else {"session.disable_model_compile": "1"})


def test_options_of_tensorrt_rtx(graph: Path, tmp_path: Path) -> None:
    options = provider_options(_recipe(graph, provider="tensorrt-rtx"), tmp_path)
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
    _built(_recipe(graph, machine=dataclasses.replace(GPU, **change)))
    found = find(graph, "tensorrt", machine=GPU)
    assert found == Found((), (reason,))
    message = missing_message(graph, "tensorrt", found, 2, 512, 768)
    assert reason in message
    command = f"ddim-edge build {graph.parents[1]} --provider tensorrt --batch 2 --height 512 --width 768"
    assert f"Run `{command}`" in message


def test_options_that_change_what_is_built_must_be_the_same(graph: Path) -> None:
    level = {"trt_builder_optimization_level": "5"}
    built = _built(_recipe(graph, options=level))
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
    _built(_recipe(graph))
    assert "what is built is for sample 2x4x64x64, timestep 2" in missing_message(
        graph, "tensorrt", find(graph, "tensorrt", machine=GPU), 4
    )
    assert build_command(Path("my model/unet/model.onnx"), "openvino") == (
        "ddim-edge build 'my model' --provider openvino"
    )


def test_a_graph_that_changed_does_not_fit_and_says_so(graph: Path) -> None:
    _built(_recipe(graph))
    weights = graph.with_name("model.onnx_data")
    weights.write_bytes(bytes(weights.stat().st_size))
    assert find(graph, "tensorrt", machine=GPU) == Found((), ("unet has changed since",))


def test_the_weights_are_not_read_where_the_files_are_those_that_were_built(
    graph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_graph: Path) -> str:
        raise AssertionError("the weights were read")

    _built(_recipe(graph))
    monkeypatch.setattr(compiled, "graph_sha256", refuse)
    assert find(graph, "tensorrt", machine=GPU).fitting
    monkeypatch.setattr(compiled, "graph_stamps", refuse)
    assert find(graph, "openvino", machine=GPU) == Found((), ())


def test_the_weights_are_read_once_where_the_bundle_is_a_copy(
    graph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for rows in (1, 2, 4):
        _built(_recipe(graph, shapes={"sample": (rows, 1, 8, 8)}))
    copy = Path(shutil.copytree(graph.parents[1], tmp_path / "elsewhere")) / "unet" / "model.onnx"
    read = []

    def hash_of(path: Path) -> str:
        read.append(path)
        return graph_hash.graph_sha256(path)

    monkeypatch.setattr(compiled, "graph_sha256", hash_of)
    fitting = find(copy, "tensorrt", machine=GPU).fitting
    assert [entry.graph for entry in fitting] == [copy] * 3
    assert read == [copy]


def test_another_training_of_the_same_network_is_known_without_reading_all_of_it(
    graph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Path(shutil.copytree(graph.parents[1], tmp_path / "other")) / "unet" / "model.onnx"
    weights = other.with_name("model.onnx_data")
    weights.write_bytes(bytes(byte ^ 1 for byte in weights.read_bytes()))
    _built(_recipe(graph))
    monkeypatch.setattr(compiled, "graph_sha256", None)
    assert find(other, "tensorrt", machine=GPU) == Found((), ())


def test_what_lies_beside_a_bundle_moves_with_it(graph: Path, tmp_path: Path) -> None:
    bundle = graph.parents[1]
    _built(_recipe(graph), bundle_cache(bundle))
    moved = bundle.rename(tmp_path / "moved")
    (found,) = find(moved / "unet" / "model.onnx", "tensorrt", machine=GPU).fitting
    assert found.graph == moved / "unet" / "model.onnx"
    assert found.options["trt_engine_cache_path"].startswith(str(moved))


def test_an_unfinished_or_foreign_folder_is_not_used(graph: Path) -> None:
    built = _built(_recipe(graph))
    record = built.folder / "built.json"
    contents = record.read_text()
    for broken in ("", "{}", contents.replace('"format": 1', '"format": 99'), contents.replace('"shapes"', '"sizes"')):
        record.write_text(broken)
        assert find(graph, "tensorrt", machine=GPU) == Found((), ())
    record.unlink()
    assert find(graph, "tensorrt", machine=GPU) == Found((), ())


def test_a_folder_with_a_damaged_file_is_not_used_and_a_timing_cache_may_change(graph: Path) -> None:
    built = _built(_recipe(graph))
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
    recipe = _recipe(graph, provider="cpu")
    folder = _built(recipe).folder
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


def test_files_are_read_once_for_each_of_their_states(
    graph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_all_hashes(monkeypatch, tmp_path / "cache")
    folder = _built(_recipe(graph)).folder
    read = count_reading(monkeypatch)
    for times in ([], [folder / "an.engine"]):
        if times:
            os.utime(folder / "an.engine", (1, 1))
        for _ in range(3):
            forget_in_process(monkeypatch)
            assert find(graph, "tensorrt", machine=GPU).fitting
        assert read == times


def test_what_a_bundle_brings_along_is_used_only_where_its_hashes_agree(graph: Path, tmp_path: Path) -> None:
    _built(_recipe(graph), bundle_cache(graph.parents[1]))
    assert find(graph, "tensorrt", machine=GPU).fitting
    copy = Path(shutil.copytree(graph.parents[1], tmp_path / "foreign")) / "unet" / "model.onnx"
    assert find(copy, "tensorrt", machine=GPU).fitting
    (engine,) = copy.parents[1].glob("compiled/*/an.engine")
    state = engine.stat()
    engine.write_bytes(b"9999")
    os.utime(engine, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert not find(copy, "tensorrt", machine=GPU).fitting
    assert find(graph, "tensorrt", machine=GPU).fitting


def test_without_a_cache_that_can_be_written_files_are_read_each_time(
    graph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = _built(_recipe(graph), bundle_cache(graph.parents[1]))
    monkeypatch.setenv("DDIM_EDGE_CACHE", os.devnull)
    assert find(graph, "tensorrt", machine=GPU).fitting == (built,)
    (built.folder / "an.engine").write_bytes(b"9999")
    assert not find(graph, "tensorrt", machine=GPU).fitting


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
    record = _built(_recipe(graph)).folder / "built.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), key: value}))
    assert find(graph, "tensorrt", machine=GPU) == Found((), ())


def test_a_cache_that_cannot_be_read_is_empty(graph: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    built = _built(_recipe(graph), bundle_cache(graph.parents[1]))
    real = Path.iterdir

    def forbidden(folder: Path) -> Iterator[Path]:
        if folder.is_relative_to(tmp_path / "cache"):
            raise PermissionError(errno.EACCES, "Permission denied", str(folder))
        return real(folder)

    monkeypatch.setattr(Path, "iterdir", forbidden)
    assert cached_folders(user_cache()) == []
    assert find(graph, "tensorrt", machine=GPU).fitting == (built,)
    for unusable in (f"{tmp_path}/{'n' * 300}", str(graph)):  # a name that no file may have; a file
        monkeypatch.setenv("DDIM_EDGE_CACHE", unusable)
        assert find(graph, "tensorrt", machine=GPU).fitting == (built,)


def test_without_a_home_folder_there_is_no_cache(graph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless(_path: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("DDIM_EDGE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "expanduser", homeless)
    built = _built(_recipe(graph), bundle_cache(graph.parents[1]))
    assert find(graph, "tensorrt", machine=GPU).fitting == (built,)
    with pytest.raises(ConfigError, match="no home folder for a cache: name a folder in DDIM_EDGE_CACHE"):
        user_cache()


def test_another_bundle_of_the_same_component_is_no_reason(graph: Path, tmp_path: Path) -> None:
    other = write_bundle(tmp_path / "other", null_class=None) / "unet" / "model.onnx"
    _built(_recipe(other))
    assert find(graph, "tensorrt", machine=GPU) == Found((), ())


def test_where_the_users_cache_lies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert user_cache() == tmp_path / "cache" / "compiled"
    monkeypatch.delenv("DDIM_EDGE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert user_cache() == tmp_path / "xdg" / "ddim-edge" / "compiled"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert user_cache() == Path.home() / ".cache" / "ddim-edge" / "compiled"
