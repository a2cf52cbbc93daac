"""The upkeep of the cache: what is of no use goes, and nothing else."""

import dataclasses
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from ddim_edge.errors import ConfigError, OutputError, ProviderError
from ddim_edge.graphs.fingerprint import graph_sha256
from ddim_edge.runtime.compiled.entry import Compiled, write_record
from ddim_edge.runtime.compiled.machine import Machine
from ddim_edge.runtime.compiled.places import bundle_cache, user_cache
from ddim_edge.runtime.compiled.recipe import Recipe
from ddim_edge.runtime.compiled.upkeep import entries, locked, prune

CPU = Machine("a CPU", None, "1.32.0", None)
GPUS = [Machine(name, "570", "1.32.0", "TensorRT 10.9.0") for name in ("A2000 8.6", "L4 8.9")]


def machines_of(provider: str) -> Sequence[Machine]:
    if provider == "openvino":
        raise ProviderError("it does not load")
    return GPUS if provider == "tensorrt" else [CPU]


@pytest.fixture
def graph(new_bundle: Callable[..., Path]) -> Path:
    return new_bundle() / "unet" / "model.onnx"


def _built(graph: Path, provider: str, machine: Machine, cache: Path | None = None) -> Compiled:
    recipe, sha256 = Recipe(provider, graph, {}, machine), graph_sha256(graph)
    folder = recipe.folder(cache or user_cache(), sha256)
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(bytes(100))
    return write_record(folder, recipe, sha256, 1.0)


def test_what_is_of_use_stays(graph: Path) -> None:
    built = [_built(graph, "cpu", CPU), *(_built(graph, "tensorrt", gpu) for gpu in GPUS)]
    kept = entries([user_cache()], machines_of)
    assert {entry.folder for entry in kept} == {compiled.folder for compiled in built}
    assert [entry.fault for entry in kept] == [None] * 3
    assert prune([user_cache()], machines_of) == []
    assert all(compiled.folder.is_dir() for compiled in built)


def test_what_does_not_fit_any_device_goes_and_says_why(graph: Path) -> None:
    old = _built(graph, "tensorrt", dataclasses.replace(GPUS[1], compiler="TensorRT 10.3.0"))
    kept = _built(graph, "tensorrt", GPUS[0])
    (gone,) = prune([user_cache()], machines_of)
    assert gone.folder == old.folder
    assert gone.fault == "built with TensorRT 10.3.0, this is 10.9.0"
    assert gone.size > 100
    assert kept.folder.is_dir()
    assert not old.folder.exists()


def test_nobody_judges_for_a_provider_that_does_not_load_here(graph: Path) -> None:
    built = _built(graph, "openvino", CPU)
    (entry,) = entries([user_cache()], machines_of)
    assert entry.fault is None
    assert prune([user_cache()], machines_of) == []
    assert built.folder.is_dir()


def test_what_is_of_a_bundle_that_is_gone_or_changed_goes(graph: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(graph.parents[1], tmp_path / "copy")) / "unet" / "model.onnx"
    copy.write_bytes(copy.read_bytes().replace(b"unet", b"unit"))
    _built(graph, "cpu", CPU)
    _built(copy, "cpu", CPU)
    shutil.rmtree(graph.parents[1])
    copy.write_bytes(copy.read_bytes().replace(b"unit", b"unot"))
    faults = sorted(entry.fault or "" for entry in prune([user_cache()], machines_of))
    assert faults == [f"{graph} is gone", f"{copy} has changed since"]


def test_what_is_unfinished_goes(graph: Path) -> None:
    built = _built(graph, "cpu", CPU)
    (built.folder / "built.json").unlink()
    (gone,) = prune([user_cache()], machines_of)
    assert (gone.folder, gone.compiled, gone.fault, gone.size) == (built.folder, None, "unfinished", 100)


def test_nothing_but_the_caches_own_folders_is_touched(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("mine")
    cache = user_cache()
    (cache / "notes").mkdir(parents=True)
    (cache / "cpu-unet-0123456789abcdef").symlink_to(outside)
    unfinished = cache / "cpu-unet-fedcba9876543210"
    unfinished.mkdir()
    (unfinished / "link").symlink_to(outside)
    (gone,) = prune([cache], machines_of)
    assert gone.folder == unfinished
    assert not unfinished.exists()
    assert (outside / "precious").read_text() == "mine"
    assert sorted(path.name for path in cache.iterdir()) == [".lock", "cpu-unet-0123456789abcdef", "notes"]


def test_a_bundles_own_cache_is_looked_at_where_it_is_named(graph: Path) -> None:
    beside = bundle_cache(graph.parents[1])
    built = _built(graph, "cpu", dataclasses.replace(CPU, onnxruntime="1.23.0"), beside)
    assert prune([user_cache()], machines_of) == []
    assert [entry.folder for entry in prune([user_cache(), beside], machines_of)] == [built.folder]


def test_nothing_goes_while_something_is_built(graph: Path) -> None:
    built = _built(graph, "cpu", dataclasses.replace(CPU, onnxruntime="1.23.0"))
    with locked(user_cache()), pytest.raises(ConfigError, match="another `ddim-edge build` is at work"):
        prune([user_cache()], machines_of)
    assert built.folder.is_dir()


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="DDIM_EDGE_CACHE names another place"), locked(tmp_path / "file" / "cache"):
        pass
