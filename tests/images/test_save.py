"""A result is written whole or not at all."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import ddim_edge
from ddim_edge.files import write_file
from ddim_edge.images.encode import grid, read_recipe
from ddim_edge.images.save import ImageFolder, is_folder
from ddim_edge.images.storage import check_can_write

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 4, 4, 1), np.uint8)
RECIPE = {"model": "Ångström", "seed": 3}


@pytest.fixture
def result() -> ddim_edge.Result:
    return ddim_edge.Result(IMAGES, RECIPE, "cpu")


def _files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_one_grid(tmp_path: Path, result: ddim_edge.Result) -> None:
    assert result.save(tmp_path / "out.png") == tmp_path / "out.png"
    with Image.open(tmp_path / "out.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture), grid(IMAGES)[:, :, 0])
    assert read_recipe(tmp_path / "out.png") == RECIPE
    assert _files(tmp_path) == ["out.png"]


def test_one_array(tmp_path: Path, result: ddim_edge.Result) -> None:
    np.testing.assert_array_equal(np.load(result.save(str(tmp_path / "out.npy"))), IMAGES)


@pytest.mark.parametrize("name", ["out", "out/", "out.v2/"])
def test_one_file_an_image(tmp_path: Path, result: ddim_edge.Result, name: str) -> None:
    folder = Path(result.save(f"{tmp_path}/{name}"))
    assert _files(folder) == [f"{index:06d}.png" for index in range(5)] + ["run.json"]
    for index, image in enumerate(IMAGES):
        path = folder / f"{index:06d}.png"
        with Image.open(path) as picture:
            np.testing.assert_array_equal(np.asarray(picture), image[:, :, 0])
        assert read_recipe(path) == {**RECIPE, "index": index}
    assert json.loads((folder / "run.json").read_text()) == {**RECIPE, "format": ".png"}


def test_another_suffix_is_refused(tmp_path: Path, result: ddim_edge.Result) -> None:
    with pytest.raises(ddim_edge.ConfigError, match=r"the file must end in \.png, .* or \.webp, a folder in /"):
        result.save(tmp_path / "out.bmp")
    assert _files(tmp_path) == []


def test_a_folder_that_is_not_there_is_created(tmp_path: Path, result: ddim_edge.Result) -> None:
    assert result.save(tmp_path / "new" / "deep" / "out.png") == tmp_path / "new" / "deep" / "out.png"
    check_can_write(tmp_path / "other" / "out.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "other"]
    (tmp_path / "file").touch()
    with pytest.raises(ddim_edge.OutputError, match=r"file is a file, not a folder"):
        result.save(tmp_path / "file" / "out.png")


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_can_write(tmp_path / "out.png")
    monkeypatch.setattr(os, "access", lambda *_arguments: False)
    with pytest.raises(ddim_edge.OutputError, match="is not writable"):
        check_can_write(tmp_path / "out.png")


def test_what_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a.png").mkdir()
    assert [is_folder(path) for path in ("a", "a/", "a.b/", tmp_path / "a.png")] == [True] * 4
    assert [is_folder(path) for path in ("a.png", "a/b.npy", Path("c.png"))] == [False] * 3


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EIO])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    def fails(*_arguments: Any) -> None:
        raise OSError(code, os.strerror(code))

    (tmp_path / "out.png").write_bytes(b"old")
    monkeypatch.setattr(os, call, fails)
    with pytest.raises(ddim_edge.OutputError, match=rf"cannot write .*out\.png: {os.strerror(code)}"):
        write_file(tmp_path / "out.png", b"new")
    assert _files(tmp_path) == ["out.png"]
    assert (tmp_path / "out.png").read_bytes() == b"old"


def test_an_interruption_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_arguments: Any) -> None:
        raise KeyboardInterrupt

    (tmp_path / "out.png").write_bytes(b"old")
    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_file(tmp_path / "out.png", b"new")
    assert _files(tmp_path) == ["out.png"]


def test_a_disk_that_fills_up_half_way_through_a_file(tmp_path: Path) -> None:
    code = """
import resource, signal, sys
from pathlib import Path
from ddim_edge.errors import OutputError
from ddim_edge.files import write_file
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_file(Path(sys.argv[1]), bytes(2000))
except OutputError as error:
    print(error)
"""
    (tmp_path / "out.npy").write_bytes(b"old")
    said = subprocess.check_output([sys.executable, "-c", code, tmp_path / "out.npy"], text=True)
    assert said == f"cannot write {tmp_path}/out.npy: {os.strerror(errno.EFBIG)}\n"
    assert _files(tmp_path) == ["out.npy"]
    assert (tmp_path / "out.npy").read_bytes() == b"old"


def test_a_folder_goes_on_with_its_own_recipe(tmp_path: Path) -> None:
    first = ImageFolder(tmp_path / "out", RECIPE)
    first.add(2, IMAGES[2])
    again = ImageFolder(tmp_path / "out", RECIPE)
    assert [again.holds(index) for index in range(4)] == [False, False, True, False]


@pytest.mark.parametrize(("recipe", "suffix"), [({**RECIPE, "seed": 4}, ".png"), (RECIPE, ".npy")])
def test_a_folder_of_another_run_is_refused_and_left_alone(tmp_path: Path, recipe: dict[str, Any], suffix: str) -> None:
    ImageFolder(tmp_path, RECIPE).add(0, IMAGES[0])
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ddim_edge.OutputError, match=r"holds the images of another run \(run\.json says which\)"):
        ImageFolder(tmp_path, recipe, suffix)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ddim_edge.OutputError, match="cannot write"):
            ImageFolder(folder, RECIPE)
