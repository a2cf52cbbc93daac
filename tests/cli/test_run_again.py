"""``--from-image`` makes the same file again, and a folder that was cut short is completed to the same files."""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from ddim_edge.generation.pipeline import Pipeline
from ddim_edge.images.encode import png_bytes, read_recipe
from tests.helpers.command_line import COMMAND, Invoke
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


@pytest.fixture
def interrupted_after(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let Ctrl-C come after so many network calls; returns the function that makes it so."""
    whole = Pipeline.run

    def arrange(calls: int) -> None:
        def run(self: Pipeline, *arguments: Any) -> Iterator[Any]:
            for number, progress in enumerate(whole(self, *arguments)):
                if number == calls:
                    raise KeyboardInterrupt
                yield progress

        monkeypatch.setattr(Pipeline, "run", run)

    return arrange


@pytest.mark.parametrize("calls", [0, 5, 10])
def test_a_folder_goes_on_where_it_was_cut_short(
    invoke: Invoke,
    tmp_path: Path,
    tiny_bundle: Path,
    interrupted_after: Any,
    calls: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert invoke("run", tiny_bundle, *OPTIONS, "-o", "whole/").code == 0
    command = ["run", tiny_bundle, *OPTIONS, "-o", "cut/", "--json"]
    with monkeypatch.context():
        interrupted_after(calls)
        outcome = invoke(*command)
    done = 3 * (calls // 4)
    hint = f"interrupted with {done} of 7 images in cut: run the same command to go on"
    assert outcome.failed_with(hint, code=130)
    assert len(_contents(tmp_path / "cut")) == done + 1
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    made = invoke(*command)
    assert made.code == 0
    assert f'"images": {7 - done},' in made.out
    assert _contents(tmp_path / "cut") == _contents(tmp_path / "whole")
    assert '"images": 0,' in invoke(*command).out


def test_only_batches_with_a_missing_image_are_made(invoke: Invoke, tmp_path: Path, tiny_bundle: Path) -> None:
    command = ["run", tiny_bundle, *OPTIONS, "-o", "many/"]
    assert invoke(*command).code == 0
    whole = _contents(tmp_path / "many")
    (tmp_path / "many" / "000004.png").unlink()
    assert "(3 images, " in invoke(*command).out
    assert _contents(tmp_path / "many") == whole


@pytest.mark.parametrize("suffix", ["png", "npy", "jpeg", "webp"])
@pytest.mark.parametrize("damage", ["empty", "no end", "another run's", "other bytes"])
def test_a_damaged_file_of_a_folder_is_made_again(
    invoke: Invoke, tmp_path: Path, tiny_bundle: Path, suffix: str, damage: str
) -> None:
    command = ["run", tiny_bundle, *OPTIONS, "--format", suffix, "-o"]
    assert invoke(*command, "many/").code == 0
    whole = _contents(tmp_path / "many")
    contents = whole[f"000002.{suffix}"]
    spoilt = {
        "empty": b"",
        "no end": contents[:-1],
        "another run's": png_bytes(np.zeros((8, 8, 1), np.uint8), {"seed": 1}),
        "other bytes": b"?" + contents[1:],
    }
    (tmp_path / f"many/000002.{suffix}").write_bytes(spoilt[damage])
    assert "(3 images, " in invoke(*command, "many/").out
    assert _contents(tmp_path / "many") == whole


def test_a_whole_png_without_a_recipe_is_kept(invoke: Invoke, tmp_path: Path, tiny_bundle: Path) -> None:
    command = ["run", tiny_bundle, *OPTIONS, "-o", "many/"]
    assert invoke(*command).code == 0
    Image.new("L", (8, 8)).save(tmp_path / "many/000002.png")
    assert "none was made" in invoke(*command).out


def test_a_folder_of_another_run_is_refused(invoke: Invoke, tmp_path: Path, tiny_bundle: Path) -> None:
    assert invoke("run", tiny_bundle, *OPTIONS, "-o", "many/").code == 0
    before = _contents(tmp_path / "many")
    assert invoke("run", tiny_bundle, "-s", 2, "-o", "many/").failed_with("holds the images of another run")
    assert _contents(tmp_path / "many") == before


def test_a_picture_that_was_cut_short_leaves_nothing(
    invoke: Invoke, tmp_path: Path, tiny_bundle: Path, interrupted_after: Any
) -> None:
    interrupted_after(2)
    assert invoke("run", tiny_bundle, *OPTIONS, "-o", "one.png").failed_with("nothing was written", code=130)
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_in_a_process_of_its_own(tmp_path: Path, tiny_bundle: Path) -> None:
    options = ["run", str(tiny_bundle), "-s", "2", "-n", "100000", "-b", "4", "-o", "many"]
    process = subprocess.Popen(
        [*COMMAND, *options], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
    )
    while process.poll() is None and not (tmp_path / "many" / "000007.png").exists():
        os.sched_yield()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert (process.returncode, out) == (130, "")
    assert err.splitlines()[-1].startswith("ddim-edge: interrupted with ")
    assert err.splitlines()[-1].endswith(" of 100000 images in many: run the same command to go on")
    assert "Traceback" not in err
    for index in range(8):
        assert read_recipe(tmp_path / "many" / f"{index:06d}.png")["index"] == index
    assert not list((tmp_path / "many").glob(".*"))
