"""The workers of Ray, called without Ray: they write what a run on one machine writes."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ddim_edge
from ddim_edge.bundle.read import open_bundle
from ddim_edge.errors import ConfigError, OutputError
from ddim_edge.generation.machine import machine_of
from ddim_edge.generation.requests.request import Request
from ddim_edge.ray.folder import Folder
from ddim_edge.ray.generate import check_columns, generate
from ddim_edge.ray.workers import ChunkWorker, Model, RowWorker, options_of
from tests.helpers.command_line import Invoke

_MODEL = Model("fashion-mnist", ddim_edge.Device("cpu", threads=1))


@pytest.fixture(scope="module")
def request_of_five() -> Request:
    return _MODEL.open().request(num_images=5, batch_size=2, num_steps=2)


def _folder(path: Path | str, request: Request, **changes: Any) -> Folder:
    return replace(Folder.at(str(path), _MODEL.open().recipe(request), ".png", None, False), **changes)


def _rows(request: Request) -> list[dict[str, int]]:
    return [{"start": chunk.start, "stop": chunk.stop} for chunk in request.chunks()]


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _run(invoke: Invoke, *options: str) -> None:
    """The request of five, by ``ddim-edge run`` at the same number of threads."""
    assert invoke("run", "-n", 5, "-b", 2, "-s", 2, "--provider", "cpu", *options).code == 0


@pytest.mark.parametrize("options", [(), ("--png-level", "1"), ("--format", "webp"), ("--mixed-machines",)])
def test_workers_in_any_order_write_the_files_of_one_run(
    request_of_five: Request, invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    _run(invoke, "--output", "one/", *options)
    changes: dict[str, Any] = {"suffix": ".webp"} if "webp" in options else {}
    changes |= {"png_level": 1} if "--png-level" in options else {}
    folder = _folder(tmp_path / "two", request_of_five, mixed_machines="--mixed-machines" in options, **changes)
    two = [ChunkWorker(_MODEL, request_of_five, folder) for _ in range(2)]
    for number, row in enumerate(reversed(_rows(request_of_five))):
        two[number % 2](row)
    assert _files(tmp_path / "one") == _files(tmp_path / "two")
    assert len(_files(tmp_path / "one")) == 6


def test_workers_write_to_a_store(request_of_five: Request) -> None:
    folder = _folder("memory://workers/images/", request_of_five)
    assert folder.target == "memory://workers/images/"
    worker = ChunkWorker(_MODEL, request_of_five, folder)
    assert [worker(row)["num_made"] for row in _rows(request_of_five)] == [2, 2, 1]
    assert folder.missing(request_of_five) == []


def test_a_chunk_that_is_there_is_not_made_again(request_of_five: Request, tmp_path: Path) -> None:
    worker = ChunkWorker(_MODEL, request_of_five, _folder(tmp_path, request_of_five))
    assert worker({"start": 0, "stop": 2})["num_made"] == 2
    written = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert worker({"start": 0, "stop": 2})["num_made"] == 0
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == written


def test_a_worker_with_another_model_is_refused(request_of_five: Request, tmp_path: Path) -> None:
    recipe = {**_MODEL.open().recipe(request_of_five), "model_sha256": "0" * 64}
    with pytest.raises(ConfigError, match="model_sha256"):
        ChunkWorker(_MODEL, request_of_five, _folder(tmp_path, request_of_five, recipe=recipe))({"start": 0, "stop": 2})


def test_a_folder_of_another_run_is_refused_before_workers_start(request_of_five: Request, tmp_path: Path) -> None:
    _folder(tmp_path, request_of_five).open(None)
    other = _folder(tmp_path, request_of_five, recipe={**_MODEL.open().recipe(request_of_five), "seed": 7})
    with pytest.raises(OutputError, match="another run"):
        other.missing(request_of_five)
    assert other.missing(request_of_five, force=True) == list(request_of_five.chunks())
    assert list(tmp_path.iterdir()) == []


def test_a_worker_on_another_kind_of_machine_is_refused(request_of_five: Request, tmp_path: Path) -> None:
    folder = _folder(tmp_path, request_of_five)
    folder.open({**machine_of(_MODEL.open()), "threads": "64"})
    with pytest.raises(OutputError, match="threads 1 here, 64 there"):
        ChunkWorker(_MODEL, request_of_five, folder)({"start": 0, "stop": 2})


def test_a_run_makes_the_chunks_that_are_not_whole(request_of_five: Request, tmp_path: Path) -> None:
    folder = _folder(tmp_path, request_of_five)
    assert folder.missing(request_of_five) == list(request_of_five.chunks())
    assert not (tmp_path / "run.json").exists()  # a worker writes it, with its kind of machine
    ChunkWorker(_MODEL, request_of_five, folder)({"start": 2, "stop": 4})
    assert folder.missing(request_of_five) == [range(2), range(4, 5)]
    (tmp_path / "000003.png").write_bytes(b"")
    assert folder.missing(request_of_five) == list(request_of_five.chunks())


def test_a_worker_has_the_threads_of_a_run_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = open_bundle("fashion-mnist")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert Model.of(bundle, ddim_edge.Device("cpu"), False, None).device.threads == 1
    assert Model.of(bundle, ddim_edge.Device("cpu", threads=3), False, None).device.threads == 3


def test_a_model_is_found_from_every_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = open_bundle("fashion-mnist")
    (tmp_path / "mine").symlink_to(bundle.folder)
    monkeypatch.chdir(tmp_path)
    assert Model.of(bundle, ddim_edge.Device("cpu"), False, None).name == "fashion-mnist"
    assert Model.of(open_bundle("mine"), ddim_edge.Device("cpu"), False, None).name == str(bundle.folder)


def test_a_row_of_options_gets_the_images_of_generate() -> None:
    row = {"labels": np.array(["bag", "coat"]), "seed": np.int64(3), "num_steps": np.int64(2), "eta": None}
    made = RowWorker(_MODEL)(row)
    expected = _MODEL.open().generate(labels=["bag", "coat"], seed=3, num_steps=2)
    np.testing.assert_array_equal(made["images"], expected.images)
    assert '"seed": 3' in made["recipe"]


def test_a_row_may_have_a_step_cache() -> None:
    row = {"sampler": "ddim", "num_steps": 6, "num_images": 1, "cache": "forecast:2", "cache_threshold": 0.1}
    check_columns(row)
    worker = RowWorker(_MODEL)
    made = worker(row)
    options: Any = row
    np.testing.assert_array_equal(made["images"], _MODEL.open().generate(**options).images)
    assert '"cache": "forecast:2"' in made["recipe"]
    with pytest.raises(ConfigError, match="cache forecast:9 makes one call in 9 whole"):
        worker({**row, "cache": "forecast:9"})


def test_cells_without_a_value_leave_their_options_out() -> None:
    assert options_of({"seed": np.float64("nan"), "eta": None, "num_steps": np.int32(4)}) == {"num_steps": 4}


def test_unknown_columns_are_refused() -> None:
    with pytest.raises(ConfigError, match="sede"):
        check_columns(["num_steps", "sede"])


def test_a_request_needs_a_folder(request_of_five: Request) -> None:
    with pytest.raises(ConfigError, match="output"):
        generate(request_of_five)


def test_an_unknown_format_is_refused(request_of_five: Request) -> None:
    with pytest.raises(ConfigError, match="file_format"):
        generate(request_of_five, output="images/", file_format="tiff")
