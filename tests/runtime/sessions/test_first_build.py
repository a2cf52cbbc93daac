"""The first opening of a large bundle on the CPU builds it, once; where that fails, the model runs without."""

import logging
import shutil
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import ddim_edge
from ddim_edge.errors import OutputError
from ddim_edge.runtime.compiled.entry import RECORD, Compiled
from ddim_edge.runtime.compiled.places import cached_folders, user_cache
from ddim_edge.runtime.compiled.store import find
from ddim_edge.runtime.compiled.upkeep import locked
from ddim_edge.runtime.sessions import first_build, packing
from ddim_edge.runtime.sessions.opening import FallbackWarning
from tests.helpers.tiny_bundles import tiny_model, write_bundle

Images = Callable[..., np.ndarray[Any, Any]]
ON_CPU = ddim_edge.Device("cpu")


@pytest.fixture(autouse=True)
def _large(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Every bundle counts as a large one here."""
    monkeypatch.setenv("DDIM_EDGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(first_build, "LARGE", 0)
    caplog.set_level(logging.INFO, "ddim_edge.build")


@pytest.fixture
def bundle(new_bundle: Callable[..., Path]) -> Path:
    return new_bundle()


@pytest.fixture
def images() -> Images:
    def make(bundle: Path, device: ddim_edge.Device = ON_CPU, **options: Any) -> np.ndarray[Any, Any]:
        with warnings.catch_warnings():
            warnings.simplefilter("error", FallbackWarning)
            return ddim_edge.load(bundle, device, **options).generate(num_steps=2, seed=1).images

    return make


def _entries() -> list[Compiled]:
    return [entry for folder in cached_folders(user_cache()) if (entry := Compiled.read(folder)) is not None]


def test_the_first_opening_builds_and_says_so_once(
    bundle: Path, images: Images, caplog: pytest.LogCaptureFixture
) -> None:
    plain = images(bundle, ddim_edge.Device("cpu", build=False))
    assert not user_cache().exists()
    built = images(bundle)
    assert [entry.recipe.component for entry in _entries()] == ["unet"]
    said = [record.getMessage() for record in caplog.records]
    assert said[0] == f"building for this processor, once, in {user_cache()} (--no-build leaves it out)"
    assert [line.partition(" MB")[0] for line in said[1:]] == ["unet is built: 0.0"]
    caplog.clear()
    assert np.array_equal(images(bundle), built)
    assert np.array_equal(images(bundle, low_memory=True), built)
    assert np.array_equal(plain, built)
    assert not caplog.records


def test_a_small_bundle_is_not_built(bundle: Path, images: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_build, "LARGE", 500_000_000)
    images(bundle)
    assert not user_cache().exists()


def test_the_weights_beside_a_graph_count(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_build, "LARGE", 10**8)
    assert not first_build.is_large(bundle)
    with (bundle / "unet" / "model.onnx_data").open("wb") as file:
        file.truncate(10**8)
    assert first_build.is_large(bundle)


def test_a_cache_that_cannot_be_written_is_told_once_and_left(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("DDIM_EDGE_CACHE", str(tmp_path / "file"))
    building = first_build.FirstBuild(ON_CPU)
    graph = bundle / "unet" / "model.onnx"
    with pytest.warns(FallbackWarning, match=r"unet is not built for this processor: cannot write .*; --no-build"):
        building.ensure(graph, bundle, ON_CPU)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        building.ensure(graph, bundle, ON_CPU)
    with pytest.warns(FallbackWarning):
        assert ddim_edge.load(bundle, "cpu").generate(num_steps=1).images.size


def test_too_little_space_is_told_before_anything_is_written(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=100))
    with pytest.warns(FallbackWarning, match=r"0\.0 GB are free, and up to .* are needed. DDIM_EDGE_CACHE names"):
        ddim_edge.load(bundle, "cpu")
    assert cached_folders(user_cache()) == []


@pytest.mark.parametrize("step", ["write_apart", "write_record", "check_optimized"])
def test_a_build_that_fails_leaves_nothing(step: str, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: Any) -> None:
        raise OutputError("cannot write it: the disk is full")

    monkeypatch.setattr(packing, step, fail)
    with pytest.warns(FallbackWarning, match=r"unet is not built for this processor: cannot write it: the disk is"):
        ddim_edge.load(bundle, "cpu")
    assert cached_folders(user_cache()) == []


def test_what_was_killed_or_is_outdated_goes(bundle: Path, images: Images, tmp_path: Path) -> None:
    other = write_bundle(tmp_path / "other", tiny_model(channels=3, classes=False), labels=None, channels=3)
    images(bundle)
    images(other)
    outdated, kept = sorted(_entries(), key=lambda entry: entry.recipe.graph.parts)
    killed = user_cache() / "cpu-unet-0123456789abcdef"
    shutil.copytree(outdated.folder, killed)
    (killed / RECORD).unlink()
    shutil.rmtree(bundle)
    write_bundle(bundle, tiny_model(size=16), sample_size=16)
    images(bundle)
    folders = cached_folders(user_cache())
    assert len(folders) == 2
    assert kept.folder in folders
    assert not {outdated.folder, killed} & set(folders)


def test_a_build_of_an_earlier_version_is_not_taken_for_one(bundle: Path, images: Images) -> None:
    images(bundle)
    (entry,) = _entries()
    record = (entry.folder / RECORD).read_text()
    (entry.folder / RECORD).write_text(record.replace('"format": 2', '"format": 1'))
    assert find(entry.recipe.graph, "cpu").fitting == ()
    images(bundle)
    assert [entry.recipe.component for entry in _entries()] == ["unet"]


def test_of_two_processes_one_builds_and_the_other_waits(
    bundle: Path, images: Images, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits, made = threading.Event(), []
    monkeypatch.setattr(packing.LOG, "info", lambda text, *_: waits.set() if text.startswith("waiting") else None)
    images(bundle)
    (entry,) = _entries()
    monkeypatch.setattr(packing, "_written", lambda *_: pytest.fail("it is built already"))
    shutil.move(entry.folder, bundle.parent / "elsewhere")
    second = threading.Thread(target=lambda: made.append(images(bundle)))
    with locked(user_cache()):
        second.start()
        assert waits.wait(20)
        shutil.move(bundle.parent / "elsewhere", entry.folder)
    second.join(20)
    assert len(made) == 1
    assert not caplog.records


def test_a_process_does_not_wait_for_ever(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "_PATIENCE", 0.05)
    with locked(user_cache()), pytest.warns(FallbackWarning, match=r"another `ddim-edge build` is at work in"):
        ddim_edge.load(bundle, "cpu")
    assert _entries() == []
