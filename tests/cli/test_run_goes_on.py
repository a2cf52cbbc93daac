"""A folder that was cut short is completed to the same files."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ddim_edge.generation.pipeline import Pipeline
from ddim_edge.images.encode import png_bytes, read_recipe
from tests.helpers.command_line import COMMAND, Invoke
from tests.serving.live import wait_until

OPTIONS = ["-s", 4, "-n", 7, "-b", 3, "--eta", 1, "--seed", 5, "-g", 2]


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


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
    wait_until(lambda: process.poll() is not None or (tmp_path / "many" / "000007.png").exists())
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert (process.returncode, out) == (130, "")
    assert err.splitlines()[-1].startswith("ddim-edge: interrupted with ")
    assert err.splitlines()[-1].endswith(" of 100000 images in many: run the same command to go on")
    assert "Traceback" not in err
    for index in range(8):
        assert read_recipe(tmp_path / "many" / f"{index:06d}.png")["index"] == index
    assert not list((tmp_path / "many").glob(".*"))
