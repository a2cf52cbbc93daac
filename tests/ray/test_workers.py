"""The workers of Ray, called without Ray: they write what a run on one machine writes."""

from pathlib import Path

import numpy as np
import pytest

import ddim_edge
from ddim_edge.errors import ConfigError, OutputError
from ddim_edge.generation.requests.request import Request
from ddim_edge.ray.generate import check_columns, generate, rows_of
from ddim_edge.ray.workers import ChunkWorker, Folder, Model, RowWorker, options_of

_MODEL = Model("fashion-mnist", ddim_edge.Device("cpu", threads=1))


@pytest.fixture(scope="module")
def request_of_five() -> Request:
    return _MODEL.open().request(num_images=5, batch_size=2, num_steps=2)


def _folder(path: Path, request: Request) -> Folder:
    return Folder(str(path), _MODEL.open().recipe(request), ".png")


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_row_is_a_chunk(request_of_five: Request) -> None:
    rows = rows_of(request_of_five.chunks())
    assert rows == [{"start": 0, "stop": 2}, {"start": 2, "stop": 4}, {"start": 4, "stop": 5}]


def test_workers_in_any_order_write_the_files_of_one_run(request_of_five: Request, tmp_path: Path) -> None:
    _MODEL.open().generate(num_images=5, batch_size=2, num_steps=2).save(tmp_path / "one")
    folder = _folder(tmp_path / "two", request_of_five)
    two = [ChunkWorker(_MODEL, request_of_five, folder) for _ in range(2)]
    for number, row in enumerate(reversed(rows_of(request_of_five.chunks()))):
        two[number % 2](row)
    assert _files(tmp_path / "one") == _files(tmp_path / "two")
    assert len(_files(tmp_path / "one")) == 6


def test_a_chunk_that_is_there_is_not_made_again(request_of_five: Request, tmp_path: Path) -> None:
    worker = ChunkWorker(_MODEL, request_of_five, _folder(tmp_path, request_of_five))
    assert worker({"start": 0, "stop": 2})["num_made"] == 2
    written = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert worker({"start": 0, "stop": 2})["num_made"] == 0
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == written


def test_a_worker_with_another_model_is_refused(request_of_five: Request, tmp_path: Path) -> None:
    recipe = {**_MODEL.open().recipe(request_of_five), "model_sha256": "0" * 64}
    with pytest.raises(ConfigError, match="model_sha256"):
        ChunkWorker(_MODEL, request_of_five, Folder(str(tmp_path), recipe, ".png"))


def test_a_folder_of_another_run_is_refused(request_of_five: Request, tmp_path: Path) -> None:
    _folder(tmp_path, request_of_five).open()
    other = Folder(str(tmp_path), {**_MODEL.open().recipe(request_of_five), "seed": 7}, ".png")
    with pytest.raises(OutputError, match="another run"):
        ChunkWorker(_MODEL, request_of_five, other)


def test_a_worker_has_the_threads_of_its_processors() -> None:
    assert Model("fashion-mnist", ddim_edge.Device("cpu")).with_threads(3).device.threads == 3
    assert _MODEL.with_threads(3).device.threads == 1


def test_a_row_of_options_gets_the_images_of_generate() -> None:
    row = {"labels": np.array(["bag", "coat"]), "seed": np.int64(3), "num_steps": np.int64(2), "eta": None}
    made = RowWorker(_MODEL)(row)
    expected = _MODEL.open().generate(labels=["bag", "coat"], seed=3, num_steps=2)
    np.testing.assert_array_equal(made["images"], expected.images)
    assert '"seed": 3' in made["recipe"]


def test_cells_without_a_value_leave_their_options_out() -> None:
    assert options_of({"seed": np.float64("nan"), "eta": None, "num_steps": np.int32(4)}) == {"num_steps": 4}


def test_unknown_columns_are_refused() -> None:
    with pytest.raises(ConfigError, match="sede"):
        check_columns(["num_steps", "sede"])


def test_a_request_needs_a_folder(request_of_five: Request) -> None:
    with pytest.raises(ConfigError, match="output"):
        generate(request_of_five)
