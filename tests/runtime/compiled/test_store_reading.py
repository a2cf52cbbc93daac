"""What the cache of compiled graphs reads of files: as little as tells that they are those that were built."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ddim_edge.graphs import fingerprint as graph_hash
from ddim_edge.runtime.compiled import store as compiled
from ddim_edge.runtime.compiled.places import bundle_cache
from ddim_edge.runtime.compiled.store import Found, find
from tests.helpers.hashing import count_reading, forget_in_process, keep_all_hashes
from tests.runtime.compiled.recipes import GPU, build, recipe_of


@pytest.fixture
def graph(new_bundle: Callable[..., Path]) -> Path:
    return new_bundle(external=True) / "unet" / "model.onnx"


def test_the_weights_are_not_read_where_the_files_are_those_that_were_built(
    graph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_graph: Path) -> str:
        raise AssertionError("the weights were read")

    build(recipe_of(graph))
    monkeypatch.setattr(compiled, "graph_sha256", refuse)
    assert find(graph, "tensorrt", machine=GPU).fitting
    monkeypatch.setattr(compiled, "graph_stamps", refuse)
    assert find(graph, "openvino", machine=GPU) == Found((), ())


def test_the_weights_are_read_once_where_the_bundle_is_a_copy(
    graph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for rows in (1, 2, 4):
        build(recipe_of(graph, shapes={"sample": (rows, 1, 8, 8)}))
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
    build(recipe_of(graph))
    monkeypatch.setattr(compiled, "graph_sha256", None)
    assert find(other, "tensorrt", machine=GPU) == Found((), ())


def test_what_lies_beside_a_bundle_moves_with_it(graph: Path, tmp_path: Path) -> None:
    bundle = graph.parents[1]
    build(recipe_of(graph), bundle_cache(bundle))
    moved = bundle.rename(tmp_path / "moved")
    (found,) = find(moved / "unet" / "model.onnx", "tensorrt", machine=GPU).fitting
    assert found.graph == moved / "unet" / "model.onnx"
    assert found.options["trt_engine_cache_path"].startswith(str(moved))


def test_files_are_read_once_for_each_of_their_states(
    graph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_all_hashes(monkeypatch, tmp_path / "cache")
    folder = build(recipe_of(graph)).folder
    read = count_reading(monkeypatch)
    for times in ([], [folder / "an.engine"]):
        if times:
            os.utime(folder / "an.engine", (1, 1))
        for _ in range(3):
            forget_in_process(monkeypatch)
            assert find(graph, "tensorrt", machine=GPU).fitting
        assert read == times


def test_what_a_bundle_brings_along_is_used_only_where_its_hashes_agree(graph: Path, tmp_path: Path) -> None:
    build(recipe_of(graph), bundle_cache(graph.parents[1]))
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
    built = build(recipe_of(graph), bundle_cache(graph.parents[1]))
    monkeypatch.setenv("DDIM_EDGE_CACHE", os.devnull)
    assert find(graph, "tensorrt", machine=GPU).fitting == (built,)
    (built.folder / "an.engine").write_bytes(b"9999")
    assert not find(graph, "tensorrt", machine=GPU).fitting
