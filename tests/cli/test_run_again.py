"""``--from-image`` makes the same file again."""

import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from ddim_edge.images.encode import png_bytes, read_recipe
from tests.helpers.command_line import Invoke
from tests.helpers.tiny_bundles import tiny_model, write_bundle

OPTIONS = ["-s", 4, "-n", 7, "-b", 3, "--eta", 1, "--seed", 5, "-g", 2]


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_grid_comes_again_byte_for_byte(invoke: Invoke, tmp_path: Path, tiny_bundle: Path) -> None:
    assert invoke("run", tiny_bundle, *OPTIONS, "-l", "dog,cat", "-c", "clip_range=0.9", "-o", "one.png").code == 0
    assert invoke("run", "--from-image", "one.png", "-o", "two.png").code == 0
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def test_a_file_of_a_folder_comes_again_byte_for_byte(invoke: Invoke, tmp_path: Path, tiny_bundle: Path) -> None:
    assert invoke("run", tiny_bundle, *OPTIONS, "-o", "many/").code == 0
    for index in (0, 4, 6):
        name = f"many/{index:06d}.png"
        assert invoke("run", "--from-image", name, "-o", "again.png", "--force").code == 0
        assert (tmp_path / name).read_bytes() == (tmp_path / "again.png").read_bytes()


def test_the_bundled_models_picture_comes_again_byte_for_byte(invoke: Invoke, tmp_path: Path) -> None:
    assert invoke("run", "-s", 3, "-n", 5, "-b", 3, "-g", 2, "-o", "many/").code == 0
    assert invoke("run", "--from-image", "many/000003.png", "-o", "again.png").code == 0
    assert (tmp_path / "many/000003.png").read_bytes() == (tmp_path / "again.png").read_bytes()


@pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="openvino is not installed")
def test_the_precision_comes_again(invoke: Invoke, tmp_path: Path, tiny_bundle: Path) -> None:
    """With float16, as every processor's OpenVINO has, or says that it has not."""
    made = invoke("run", tiny_bundle, *OPTIONS, "-p", "openvino", "--precision", "float16", "-o", "one.png")
    if made.code != 0:
        assert made.failed_with("does not compute in float16 on this machine")
        return
    assert read_recipe(tmp_path / "one.png")["precision"] == "float16"
    assert invoke("run", "--from-image", "one.png", "-p", "openvino", "-o", "two.png").code == 0
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    other = invoke("run", "--from-image", "one.png", "-p", "openvino", "--precision", "float32", "-o", "two.png")
    assert other.failed_with("the picture was made in float16: leave --precision out")
    assert invoke("run", "--from-image", "one.png", "-p", "cpu").failed_with("was made in float16: cpu computes in")
    assert invoke("run", "--from-image", "one.png").failed_with("precision float16 needs a provider by name")


def test_a_folder_comes_again_from_one_of_its_files(invoke: Invoke, tmp_path: Path, tiny_bundle: Path) -> None:
    assert invoke("run", tiny_bundle, *OPTIONS, "-o", "many/").code == 0
    assert invoke("run", "--from-image", "many/000004.png", "-o", "again/").code == 0
    assert _contents(tmp_path / "many") == _contents(tmp_path / "again")


def test_a_picture_of_another_model_is_refused(invoke: Invoke, tmp_path: Path, tiny_bundle: Path) -> None:
    write_bundle(tmp_path / "other", tiny_model(nan_at=(1, 1)))
    assert invoke("run", "other", "-s", 1, "-o", "one.png").code == 0
    assert invoke("run", tiny_bundle, "--from-image", "one.png").failed_with("was made by another model: its hash is")
    shutil.rmtree(tmp_path / "other")
    assert invoke("run", "--from-image", "one.png").failed_with("no model 'other'")


def test_options_beside_from_image_are_refused(invoke: Invoke, tmp_path: Path, tiny_bundle: Path) -> None:
    assert invoke("run", tiny_bundle, "-s", 1, "-o", "one.png").code == 0
    for options in (["--steps", 3], ["--eta", 0], ["--seed", 0], ["-l", "cat"], ["-c", "eta=1"]):
        assert invoke("run", "--from-image", "one.png", *options).failed_with("--from-image takes all options from")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.png"]


@pytest.mark.parametrize("contents", [b"", b"no picture", png_bytes(np.zeros((2, 2, 1), np.uint8), {"seed": 1})])
def test_pictures_without_a_whole_recipe(invoke: Invoke, tmp_path: Path, contents: bytes) -> None:
    (tmp_path / "one.png").write_bytes(contents)
    assert invoke("run", "--from-image", "one.png").failed_with("")
    assert invoke("run", "--from-image", "none.png").failed_with("none.png is not there")


_TAMPERED: list[dict[str, Any]] = [
    {"labels": [9]},
    {"labels": ["x"]},
    {"num_steps": 0},
    {"seed": "x"},
    {"guidance_scale": None},
    {"index": "x"},
    {"index": 16},
    {"model": 3},
    {"model": {"a": 1}},
    {"control_scale": 1.0},
    {"control_scale": None},
    {"label_names": 3},
    {"num_images": 10**9},
    {"num_images": 10**400},
    {"prompts": None},
    {"prompts": [1]},
    {"height": "8"},
    {"origin": None},
    {"strength": float("nan")},
    {"guidance_interval": [1, 2, 3]},
    {"sampler": [1]},
]


def test_a_recipe_that_was_tampered_with(invoke: Invoke, tmp_path: Path, tiny_bundle: Path) -> None:
    assert invoke("run", tiny_bundle, "-s", 1, "-o", "one.png").code == 0
    recipe = dict(read_recipe(tmp_path / "one.png"))
    for change in _TAMPERED:
        chunk = PngImagePlugin.PngInfo()
        chunk.add_itxt("ddim-edge", json.dumps(recipe | change))
        Image.new("L", (1, 1)).save(tmp_path / "spoilt.png", pnginfo=chunk)
        assert invoke("run", "--from-image", "spoilt.png").failed_with("must ")


@pytest.mark.parametrize(
    "change",
    [
        {"model": "x" * 4000},
        {"model": "x" * 5000},
        {"interpolated": "x" * 5000},
        {"origin": {"x" * 5000: "a"}},
        {"sampler": {"x" * 5000: 1}},
        {"sampler": {"name": "x" * 5000}},
        {"noise": "x" * 5000},
        {"noise": "x" * 90},
        {"model_sha256": "x" * 64},
        {"x" * 5000: 1, "seed": "x" * 5000},
    ],
)
def test_a_message_repeats_at_most_200_characters_of_a_recipe(
    invoke: Invoke, tmp_path: Path, tiny_bundle: Path, change: dict[str, Any]
) -> None:
    assert invoke("run", tiny_bundle, "-s", 1, "-o", "one.png").code == 0
    recipe = {**read_recipe(tmp_path / "one.png"), **change}
    (tmp_path / "spoilt.png").write_bytes(png_bytes(np.zeros((8, 8, 1), np.uint8), recipe))
    outcome = invoke("run", "--from-image", "spoilt.png")
    assert outcome.failed_with("")
    assert "x" * 201 not in outcome.err
