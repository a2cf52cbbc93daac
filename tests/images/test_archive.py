"""Tar files of images: named as the package webdataset groups them, equal byte for byte, written whole."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import ddim_edge
from ddim_edge.images.archive import Archive, ArchiveFolder
from ddim_edge.images.remote import RemoteFolder
from ddim_edge.images.save import RUN_FILE
from ddim_edge.images.storage import Storage
from ddim_edge.images.tar import is_whole_tar, tar_bytes

RECIPE = {"model": "m", "seed": 3}
IMAGES = np.arange(7 * 4 * 4 * 3, dtype=np.uint8).reshape(7, 4, 4, 3)
ARCHIVE = Archive(num_images=7, batch_size=2, images_per_tar=5)


def _write(folder: Path | Storage, indices: range = range(7)) -> ArchiveFolder:
    images = ArchiveFolder(ARCHIVE, folder, RECIPE)
    for index in indices:
        images.add(index, IMAGES[index])
    return images


def test_a_tar_has_whole_batches_and_the_last_what_is_left() -> None:
    assert ARCHIVE.step == 4
    assert list(ARCHIVE.tars()) == [range(4), range(4, 7)]
    assert list(Archive(3, 2, 1).tars()) == [range(2), range(2, 3)]


def test_images_and_recipes_can_be_read_from_the_tars(tmp_path: Path) -> None:
    _write(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000000.tar", "000001.tar", RUN_FILE]
    with tarfile.open(tmp_path / "000001.tar") as tar:
        contents: dict[str, Any] = {}
        for member in tar.getmembers():
            file = tar.extractfile(member)
            assert file is not None
            contents[member.name] = file.read()
    assert list(contents) == [f"{index:06d}.{suffix}" for index in (4, 5, 6) for suffix in ("png", "json")]
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(contents["000005.png"]))), IMAGES[5])
    assert json.loads(contents["000005.json"]) == {**RECIPE, "index": 5}


@pytest.mark.slow
def test_webdataset_reads_them(tmp_path: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    _write(tmp_path)
    samples = list(webdataset.WebDataset(f"{tmp_path}/{{000000..000001}}.tar", shardshuffle=False).decode("rgb8"))
    assert [sample["__key__"] for sample in samples] == [f"{index:06d}" for index in range(7)]
    assert all(np.array_equal(sample["png"], IMAGES[sample["json"]["index"]]) for sample in samples)


def test_a_tar_is_there_once_its_last_image_is(tmp_path: Path) -> None:
    images = _write(tmp_path, range(6))
    assert [images.holds(index) for index in range(7)] == [True] * 4 + [False] * 3
    whole = (tmp_path / "000000.tar").read_bytes()
    (tmp_path / "000000.tar").write_bytes(whole[: -tarfile.RECORDSIZE])
    again = _write(tmp_path, range(4))
    assert again.holds(0)
    assert (tmp_path / "000000.tar").read_bytes() == whole


def test_a_store_gets_the_same_tars(tmp_path: Path) -> None:
    url = "memory://archive-test/tars/"
    _write(tmp_path)
    _write(RemoteFolder(url))
    for path in tmp_path.iterdir():
        assert RemoteFolder(url).read(path.name, 100_000) == path.read_bytes()


@pytest.mark.parametrize("other", [ARCHIVE._replace(images_per_tar=2), ARCHIVE._replace(num_images=8)])
def test_a_folder_goes_on_with_the_same_tars_only(tmp_path: Path, other: Archive) -> None:
    _write(tmp_path, range(4))
    with pytest.raises(ddim_edge.OutputError, match="holds the images of another run"):
        ArchiveFolder(other, tmp_path, RECIPE)


def test_a_tar_that_is_cut_off_or_none_is_not_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    whole = tar_bytes([("a", b"x" * 20_000)])
    assert not is_whole_tar(path)
    for contents in (b"", whole[:100], whole[: tarfile.RECORDSIZE], whole[:-512]):
        path.write_bytes(contents)
        assert not is_whole_tar(path)
    path.write_bytes(whole)
    assert is_whole_tar(path)


def test_images_of_a_tar_may_come_in_any_order(tmp_path: Path) -> None:
    _write(tmp_path / "plain")
    images = _write(tmp_path / "other", range(0))
    for index in (2, 0, 3, 1, 6, 5, 4):
        assert not images.holds(index)
        images.add(index, IMAGES[index])
    for name in ("000000.tar", "000001.tar"):
        assert (tmp_path / "plain" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()


def test_a_tar_that_misses_an_image_is_not_written(tmp_path: Path) -> None:
    images = ArchiveFolder(ARCHIVE, tmp_path, RECIPE)
    for index in (0, 1, 3, 4, 5, 6):
        images.add(index, IMAGES[index])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000001.tar", RUN_FILE]
