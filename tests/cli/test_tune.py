"""``ddim-edge tune``: its preset, table and strip, and what it refuses before a network is opened."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ddim_edge.cli import tune as tune_module
from ddim_edge.images.encode import read_recipe, to_pixels
from tests.helpers.command_line import Invoke
from tests.helpers.documents import ROOT, blocks, shell_lines

OPTIONS = ["--labels", "cat,dog", "--sampler", "ddim", "--num-steps", 12]


@pytest.fixture
def bundle(deep_bundle: Path, tmp_path: Path) -> Path:
    return shutil.copytree(deep_bundle, tmp_path / "bundle")


def test_the_preset_is_written_told_and_used(invoke: Invoke, bundle: Path, tmp_path: Path) -> None:
    told = invoke("tune", "bundle", *OPTIONS, "--max-distance", 10, "--strip", "strip.png")
    assert told.code == 0, told.err
    lines = told.out.splitlines()
    assert len(lines) == 11
    assert lines[1].split()[:3] == ["off", "12.0", "0.0"]
    preset = json.loads((bundle / "generation_config.json").read_text())["presets"]["fast"]
    assert (preset["num_steps"], preset["sampler"]) == (12, "ddim")
    assert preset["measured"]["images"] == 2
    assert preset["measured"]["times_faster"] > 1
    assert lines[-1].startswith(f"preset fast of bundle is {preset['cache']}")
    assert Image.open(tmp_path / "strip.png").size == (2 * (8 + 2), 9 * (8 + 2))
    assert invoke("run", "bundle", "--preset", "fast", "-l", "cat", "-o", "fast.png").code == 0
    recipe = read_recipe(tmp_path / "fast.png")
    assert (recipe["cache"], recipe["num_steps"]) == (preset["cache"], 12)
    assert "preset" not in recipe
    assert f"preset fast: num_steps 12, sampler ddim, cache {preset['cache']}" in invoke("inspect", "bundle").out
    assert json.loads(invoke("inspect", "bundle", "--json").out)["presets"] == {"fast": preset}


def test_the_strip_has_a_row_a_setting(invoke: Invoke, bundle: Path, tmp_path: Path) -> None:
    assert invoke("tune", bundle, *OPTIONS, "--max-distance", 10, "--strip", "strip.png", "-q").out == ""
    strip = np.asarray(Image.open(tmp_path / "strip.png"))
    for row, cache in enumerate(("off", "forecast:2")):
        options = [*OPTIONS, "--cache", cache, "-b", 16, "-o", f"{row}.npy"]
        assert invoke("run", bundle, *options).code == 0
        (first, second) = to_pixels(np.load(tmp_path / f"{row}.npy"))[..., 0]
        np.testing.assert_array_equal(strip[10 * row : 10 * row + 8, :8], first)
        np.testing.assert_array_equal(strip[10 * row : 10 * row + 8, 10:18], second)


def test_nothing_is_written_where_nothing_is_near_enough(invoke: Invoke, bundle: Path) -> None:
    outcome = invoke("tune", bundle, *OPTIONS, "--max-distance", 0, "--json")
    assert outcome.code == 1
    facts = json.loads(outcome.out)
    assert facts["preset"] is None
    assert [row["cache"] for row in facts["rows"]][:2] == [None, "forecast:2"]
    assert not any(row["chosen"] for row in facts["rows"])
    assert not (bundle / "generation_config.json").exists()


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["bundle", "--preset", "a b"], "a preset's name"),
        (["bundle", "--strip", "there.png"], "there.png exists: give --force"),
        (["bundle", "--strip", "strip.jpg"], "--strip must be a .png file"),
        (["bundle", "--labels", "catt"], "Did you mean 'cat'"),
        (["bundle", "--num-steps", "0"], "num_steps must be from 1"),
        (["fashion-mnist"], "copy the folder"),
        (["nowhere"], "no model 'nowhere'"),
    ],
)
def test_bad_input_is_one_line_before_a_network_is_opened(
    invoke: Invoke, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], part: str
) -> None:
    def opened(*_: Any, **__: Any) -> None:
        raise AssertionError("a network was opened")

    (tmp_path / "there.png").touch()
    monkeypatch.setattr(tune_module, "Pipeline", opened)
    assert bundle.exists()
    assert invoke("tune", *options).failed_with(part)


def test_an_unknown_preset_is_one_line(invoke: Invoke, bundle: Path) -> None:
    assert invoke("run", bundle, "--preset", "fast", "-o", "x.png").failed_with("has no presets; `ddim-edge tune`")


def test_the_documents_commands(invoke: Invoke, tmp_path: Path) -> None:
    (block,) = (block for block in blocks("docs/fewer-calls.md") if "ddim-edge tune" in block.text)
    copy, *commands = map(str.split, shell_lines(block.text))
    assert copy == ["cp", "-r", "models/fashion-mnist", "my-model"]
    shutil.copytree(ROOT / "models" / "fashion-mnist", tmp_path / "my-model")
    for command in commands:
        assert command.pop(0) == "ddim-edge"
        outcome = invoke(*command)
        assert outcome.code == 0, outcome.err
    assert read_recipe(tmp_path / "fast.png")["num_steps"] == 20
