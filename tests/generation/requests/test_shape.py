"""Samples of another shape than the bundle's own, where the network leaves axes free."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ddim_edge
from ddim_edge import ConfigError, Pipeline
from ddim_edge.generation.requests.request import Request
from tests.helpers.array_bundles import array_model, array_prediction, write_array_bundle
from tests.helpers.command_line import Invoke


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of (6, 2), of which the first axis is free."""
    folder = tmp_path_factory.mktemp("models") / "chunks"
    return write_array_bundle(folder, (6, 2), array_model(("length", 2)), output={"kind": "array", "names": ["x", "y"]})


@pytest.fixture(scope="module")
def pipeline(folder: Path) -> Pipeline:
    return ddim_edge.load(folder, "cpu")


def test_samples_have_the_shape_that_was_asked_for(pipeline: Pipeline) -> None:
    result = pipeline.generate(shape=(9, 2), num_images=2, num_steps=3, seed=5)
    assert result.samples.shape == (2, 9, 2)
    assert pipeline.generate(num_steps=3).samples.shape == (1, 6, 2)
    schedule = ddim_edge.DdimSchedule(ddim_edge.DdimConfig.from_json(pipeline.bundle.scheduler_keys), num_steps=3)
    sample = ddim_edge.noise_stream(6)((1, 9, 2))
    for step, timestep in enumerate(schedule.timesteps.tolist()):
        sample, _ = schedule.step(step, sample, array_prediction(sample, timestep))
    np.testing.assert_allclose(result.samples[1:], sample, atol=1e-5)


def test_a_recipe_has_it(pipeline: Pipeline) -> None:
    made = pipeline.generate(shape=[9, 2], num_steps=3)
    assert made.recipe["shape"] == [9, 2]
    assert Request.from_json(made.recipe) == pipeline.request(shape=(9, 2), num_steps=3)
    assert "shape" not in pipeline.generate(num_steps=3).recipe


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": (9, 3)}, r"takes samples of the shape \(6 or another number, 2\), not \(9, 3\)"),
        ({"shape": (9, 2, 1)}, r"takes samples of the shape \(6 or another number, 2\), not \(9, 2, 1\)"),
        ({"shape": (0, 2)}, "shape must be whole numbers of at least 1"),
        ({"shape": (9.5, 2)}, "shape must be whole numbers of at least 1"),
        ({"shape": "9,2"}, "shape must be whole numbers of at least 1"),
        ({"shape": (2**28, 2)}, "a sample has at most 268,435,456 numbers"),
        ({"shape": (9, 2), "height": 9}, "give either shape, or height and width"),
    ],
)
def test_other_shapes_are_refused(pipeline: Pipeline, options: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        pipeline.request(**options)


def test_images_have_height_and_width(tiny_bundle: Path) -> None:
    with pytest.raises(ConfigError, match="makes images: give height and width"):
        ddim_edge.load(tiny_bundle, "cpu").request(shape=(1, 8, 8))


@pytest.mark.parametrize(
    ("output", "axis"),
    [
        ({"kind": "array", "normalization": {"mode": "min_max", "axis": 0, "min": [0.0] * 6, "max": [1.0] * 6}}, 0),
        ({"kind": "array", "normalization": {"mode": "min_max", "axis": 0, "min": [0.0], "max": [1.0]}}, None),
        ({"kind": "array", "names": ["x", "y"]}, 1),
    ],
)
def test_an_axis_with_numbers_of_its_own_is_not_free(tmp_path: Path, output: dict[str, Any], axis: int | None) -> None:
    folder = write_array_bundle(tmp_path / "chunks", (6, 2), array_model(("length", "width")), output=output)
    bundle = ddim_edge.load(folder, "cpu").bundle
    assert bundle.free_axes == tuple(each != axis for each in range(2))


def test_a_level_of_the_network_halves_the_axis(tmp_path: Path) -> None:
    folder = write_array_bundle(tmp_path / "chunks", (2, 8), array_model((2, "length")))
    (folder / "unet" / "config.json").write_text('{"sample_shape": [2, 8], "block_out_channels": [4, 8, 8]}')
    pipeline = ddim_edge.load(folder, "cpu")
    with pytest.raises(ConfigError, match="takes multiples of 4 alone, and shape has 10"):
        pipeline.request(shape=(2, 10))
    assert pipeline.generate(shape=(2, 12), num_steps=2).samples.shape == (1, 2, 12)


def test_the_command_line(invoke: Invoke, folder: Path, tmp_path: Path) -> None:
    assert invoke("run", folder, "--shape", "9,2", "-n", 1, "-s", 2, "-o", "a.npy").code == 0
    assert np.load(tmp_path / "a.npy").shape == (1, 9, 2)
    assert invoke("run", folder, "--shape", "9x2").failed_with("--shape must be whole numbers, for instance 32,2")
    assert invoke("run", folder, "--shape", "9").failed_with("takes samples of the shape (6 or another number, 2)")
    assert "arrays of shape (6, 2), free axes (--shape) 0, of x, y" in invoke("inspect", folder).out
