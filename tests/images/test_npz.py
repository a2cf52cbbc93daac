"""Files of samples (.npz): floats with their recipe, written alike each time, and known to be whole."""

from pathlib import Path

import numpy as np
import pytest

from ddim_edge.errors import ConfigError
from ddim_edge.images.npz import npz_bytes, read_npz_recipe
from ddim_edge.images.whole import is_whole_npz

RECIPE = {"model": "ränk", "seed": 3}
SAMPLES = np.linspace(-2, 2, 24, dtype=np.float32).reshape(3, 4, 2)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "out.npz"
    file.write_bytes(npz_bytes(SAMPLES, RECIPE))
    return file


def test_a_file_has_the_floats_and_the_recipe(path: Path) -> None:
    with np.load(path) as file:
        np.testing.assert_array_equal(file["samples"], SAMPLES)
    assert read_npz_recipe(path) == RECIPE
    assert path.read_bytes() == npz_bytes(SAMPLES, RECIPE)


def test_a_whole_file_of_this_recipe_is_known(path: Path) -> None:
    assert is_whole_npz(path, RECIPE)
    assert not is_whole_npz(path, {**RECIPE, "seed": 4})
    assert not is_whole_npz(path.with_name("none.npz"), RECIPE)


def test_a_damaged_file_is_not_whole(path: Path) -> None:
    contents = path.read_bytes()
    for cut in range(0, len(contents), 37):
        path.write_bytes(contents[:cut])
        assert not is_whole_npz(path, RECIPE)
    middle = contents.index(SAMPLES.tobytes()[8:24])
    path.write_bytes(contents[:middle] + b"\0" + contents[middle + 1 :])
    assert not is_whole_npz(path, RECIPE)


def test_other_files_have_no_recipe_of_samples(tmp_path: Path) -> None:
    np.savez(tmp_path / "latents.npz", latents=SAMPLES, recipe=np.array("{}"))
    (tmp_path / "text.npz").write_text("text")
    for name in ("latents.npz", "text.npz", "none.npz"):
        with pytest.raises(ConfigError, match=rf"{name} is no file of samples"):
            read_npz_recipe(tmp_path / name)
