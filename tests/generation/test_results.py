"""Where ``Result.save`` and ``MadeImage.save`` write."""

from pathlib import Path

import fsspec
import numpy as np
import pytest

import ddim_edge
from ddim_edge.generation.many import MadeImage
from ddim_edge.images.encode import png_bytes

RECIPE = {"model": "m", "seed": 3}
RESULT = ddim_edge.Result(np.zeros((1, 4, 4, 3), np.uint8), RECIPE, "cpu")
PNG = png_bytes(RESULT.images[0], RECIPE)


def test_a_url_is_a_file_of_a_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert RESULT.save("memory://save-one/out.png") == "memory://save-one/out.png"
    MadeImage(0, RECIPE, pixels=RESULT.images[0]).save("memory://save-one/made.png")
    system = fsspec.filesystem("memory")
    assert system.cat_file("/save-one/out.png") == system.cat_file("/save-one/made.png") == PNG
    assert list(tmp_path.iterdir()) == []


def test_a_url_is_a_folder_of_a_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    RESULT.save("memory://save-many/images/")
    names = fsspec.filesystem("memory").ls("/save-many/images", detail=False)
    assert sorted(path.rpartition("/")[2] for path in names) == ["000000.png", "run.json"]
    assert list(tmp_path.iterdir()) == []


def test_a_file_url_is_a_path(tmp_path: Path) -> None:
    assert RESULT.save(f"file://{tmp_path}/out.png") == tmp_path / "out.png"
    assert (tmp_path / "out.png").read_bytes() == PNG


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://host/out.png", "the scheme of the URL 'https' is unknown"),
        ("s3://bucket/out.tiff", "the file must end in .png"),
        ("s3://out.png", "needs a bucket"),
    ],
)
def test_a_url_that_cannot_be_used(url: str, words: str) -> None:
    with pytest.raises(ddim_edge.ConfigError, match=words):
        RESULT.save(url)
