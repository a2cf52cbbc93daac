"""Runs at the same time in one folder: each gets its own names."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from ddim_edge.cli.output import EstimateOptions, FileOutput, free_names, new_folder
from ddim_edge.generation.results import Progress
from tests.helpers.command_line import Invoke

PROGRESS = Progress(range(1), 1, (), np.zeros((1, 4, 4, 1), np.uint8), samples=np.zeros((1, 1, 4, 4), np.float32))


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("suffix", ["png", "npy"])
def test_two_runs_that_chose_one_name_leave_two_files(tmp_path: Path, suffix: str) -> None:
    outputs = []
    for seed in (1, 2):
        names = free_names("model", suffix)
        outputs.append(FileOutput(next(names), partial(dict, seed=seed), None, EstimateOptions(), names))
    for output in outputs:
        output.take(PROGRESS)
        output.write()
    assert [str(output.path) for output in outputs] == [f"model.{suffix}", f"model-2.{suffix}"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"model-2.{suffix}", f"model.{suffix}"]


def test_two_runs_that_chose_one_folder_get_two() -> None:
    first, second = free_names("a.b", ""), free_names("a.b", "")
    assert [str(new_folder(first)), str(new_folder(second))] == ["a-b-images", "a-b-images-2"]


def test_names_that_are_taken_are_passed_over(tmp_path: Path) -> None:
    for name in ("model.png", "model-2.gif", "model-4.png"):
        (tmp_path / name).touch()
    names = free_names("some/model", "png")
    assert [str(next(names)) for _ in range(2)] == ["model-3.png", "model-5.png"]


@pytest.mark.parametrize(
    "command",
    [
        ("run", "-n", 1, "-s", 1, "-o", "new/deep/out.png"),
        ("interpolate", 1, 2, "--frames", 2, "-s", 2, "-o", "new/deep/out.gif"),
    ],
)
def test_a_folder_that_is_missing_is_created(invoke: Invoke, tmp_path: Path, command: tuple[object, ...]) -> None:
    assert invoke(*command).code == 0
    assert [path.stem for path in (tmp_path / "new" / "deep").iterdir()] == ["out"]
