"""output.json: what a bundle's samples are, and how their normalization is undone."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ddim_edge.bundle.output import Output
from ddim_edge.bundle.read import open_bundle
from ddim_edge.errors import BundleError, ConfigError
from tests.helpers.array_bundles import CONDITION, array_model, write_array_bundle
from tests.helpers.tiny_bundles import write_json

MEAN_STD = {"mode": "mean_std", "mean": [1.0, -2.0], "std": [0.5, 4.0]}
MIN_MAX = {"mode": "min_max", "axis": 0, "min": [0.0, -1.0, 2.0], "max": [10.0, 1.0, 2.0]}


@pytest.mark.parametrize("shape", [(5,), (16, 2), (5, 8, 8), (2, 3, 4, 5)])
def test_samples_of_other_shapes_than_images_are_arrays(tmp_path: Path, shape: tuple[int, ...]) -> None:
    bundle = open_bundle(write_array_bundle(tmp_path / "arrays", shape))
    assert (bundle.sample_shape, bundle.output) == (shape, Output("array"))
    assert bundle.sample_shape_for() == shape
    with pytest.raises(ConfigError, match=r"makes arrays of shape .* and no images"):
        bundle.image_shape()


def test_without_the_file_the_shape_of_an_image_is_an_image(tmp_path: Path) -> None:
    bundle = open_bundle(write_array_bundle(tmp_path / "arrays", (3, 8, 12)))
    assert bundle.output.is_image
    assert bundle.image_shape() == (3, 8, 12)


def test_height_and_width_need_three_axes(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="without height and width: leave both out"):
        open_bundle(write_array_bundle(tmp_path / "flat", (16, 2))).sample_shape_for(8, None)
    assert open_bundle(write_array_bundle(tmp_path / "maps", (5, 8, 8))).sample_shape_for(16, None) == (5, 16, 8)


def test_mean_and_deviation_are_undone_along_the_last_axis(tmp_path: Path) -> None:
    folder = write_array_bundle(tmp_path / "arrays", (3, 2), output={"kind": "array", "normalization": MEAN_STD})
    samples = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    restored = open_bundle(folder).output.restored(samples)
    assert restored.dtype == np.float32
    np.testing.assert_array_equal(restored, samples * np.array([0.5, 4]) + np.array([1, -2]))


def test_minimum_and_maximum_are_undone_along_another_axis(tmp_path: Path) -> None:
    folder = write_array_bundle(tmp_path / "arrays", (3, 2), output={"kind": "array", "normalization": MIN_MAX})
    low, high = (np.full((1, 3, 2), side, np.float32) for side in (-1, 1))
    output = open_bundle(folder).output
    np.testing.assert_array_equal(output.restored(low)[0, :, 0], MIN_MAX["min"])
    np.testing.assert_array_equal(output.restored(high)[0, :, 1], MIN_MAX["max"])


def test_axes_units_and_names_are_read(tmp_path: Path) -> None:
    keys = {"kind": "array", "axes": ["time", "action"], "units": "m", "names": ["x", "y"]}
    output = open_bundle(write_array_bundle(tmp_path / "arrays", (3, 2), output=keys)).output
    assert (output.axes, output.units, output.names) == (("time", "action"), "m", ("x", "y"))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"kind": "sound"}, "kind must be image or array, not 'sound'"),
        ({"kind": "image"}, r"samples of shape \(3, 2\) are no images: kind must be array"),
        ({"axes": ["time"]}, "axes must have 2 items"),
        ({"names": ["x", "y", "z"]}, "names must have 2 items"),
        ({"units": 3}, "units must be a string"),
        ({"normalization": {"mode": "log"}}, "mode must be mean_std or min_max, not 'log'"),
        ({"normalization": {**MEAN_STD, "axis": 2}}, r"axis 2 is none of samples of shape \(3, 2\)"),
        ({"normalization": {**MEAN_STD, "std": [1.0, 2.0, 3.0]}}, "std must have 2 numbers, or one, not 3"),
        ({"normalization": {**MEAN_STD, "std": [1.0, -1.0]}}, "std must not be negative"),
        ({"normalization": {**MEAN_STD, "mean": [float("nan"), 1.0]}}, "mean"),
        ({"normalization": {**MEAN_STD, "mean": None}}, "mean must have 2 numbers, or one, not 0"),
        ({"normalization": {**MEAN_STD, "mean": [0.0]}}, "mean and std must have the same number of items"),
    ],
)
def test_a_broken_file_is_one_error(tmp_path: Path, keys: dict[str, Any], message: str) -> None:
    folder = write_array_bundle(tmp_path / "arrays", (3, 2), output=keys)
    with pytest.raises(BundleError, match=message):
        open_bundle(folder)


def test_images_have_no_normalization(tmp_path: Path) -> None:
    folder = write_array_bundle(tmp_path / "images", (3, 8, 8), output={"normalization": {**MEAN_STD, "axis": 0}})
    with pytest.raises(BundleError, match="leave normalization out"):
        open_bundle(folder)


@pytest.mark.parametrize("shape", [[], [0], [3, "time"], [2] * 9, [2**20, 2**20], 3])
def test_a_wrong_sample_shape_is_an_error(tmp_path: Path, shape: Any) -> None:
    folder = write_array_bundle(tmp_path / "arrays", (3, 2))
    write_json(folder / "unet" / "config.json", {"sample_shape": shape})
    with pytest.raises(BundleError, match="sample_shape"):
        open_bundle(folder)


def test_inputs_that_no_rule_knows_are_free(tmp_path: Path) -> None:
    bundle = open_bundle(write_array_bundle(tmp_path / "arrays", (16, 2), array_model((16, 2), condition=3)))
    assert list(bundle.free_inputs) == [CONDITION]
    assert bundle.free_inputs[CONDITION].shape == ("batch", 3)
    assert bundle.free_inputs[CONDITION].is_real
    assert bundle.conditioning_names == {CONDITION}


def test_known_inputs_are_not_free(tiny_bundle: Path) -> None:
    assert open_bundle(tiny_bundle).free_inputs == {}
