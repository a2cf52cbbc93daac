"""``run --output -``: the file's bytes on standard output, and nothing else."""

import io
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.command_line import COMMAND, Invoke


def written(folder: Path, *arguments: object) -> subprocess.CompletedProcess[bytes]:
    command = [*COMMAND, "run", *map(str, arguments), "--output", "-"]
    return subprocess.run(command, cwd=folder, capture_output=True, check=False)


def test_one_image_is_written_as_a_file_is(invoke: Invoke, tmp_path: Path, tiny_bundle: Path) -> None:
    done = written(tmp_path, tiny_bundle, "-s", 1, "--seed", 3)
    assert done.returncode == 0
    assert invoke("run", tiny_bundle, "-s", 1, "--seed", 3, "-n", 1, "-o", "one.png").code == 0
    assert done.stdout == (tmp_path / "one.png").read_bytes()
    assert done.stderr.startswith(b"-  (1 image, 1 step of ddim, seed 3, on ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.png"]


def test_formats_and_several_images(tmp_path: Path, tiny_bundle: Path) -> None:
    arrays = written(tmp_path, tiny_bundle, "-s", 1, "-l", "dog,cat", "--format", "npy", "--quiet")
    assert np.load(io.BytesIO(arrays.stdout)).shape == (2, 1, 8, 8)
    assert arrays.stderr == b""


@pytest.mark.parametrize(
    "options",
    [
        ("--gif",),
        ("--show",),
        ("--json",),
        ("--save-every", 1),
        ("--archive", "webdataset"),
        ("--shard", "0/2"),
    ],
)
def test_what_writes_something_else_is_refused(
    invoke: Invoke, tiny_bundle: Path, tmp_path: Path, options: tuple[object, ...]
) -> None:
    outcome = invoke("run", tiny_bundle, "-o", "-", *options)
    assert outcome.failed_with(f"--output - writes one image file to standard output: leave {options[0]} out")
    assert list(tmp_path.iterdir()) == []


def test_a_table_needs_a_folder(invoke: Invoke, tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("seed\n1\n")
    assert invoke("run", tiny_bundle, "--requests", "t.csv", "-o", "-").failed_with("give a folder as --output")


def test_a_terminal_gets_no_bytes(invoke: Invoke, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ddim_edge.cli.standard_output._is_terminal", lambda: True)
    assert invoke("run", tiny_bundle, "-o", "-").failed_with("which is a terminal: redirect it")
