"""``ddim-edge run --ray``."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ddim_edge import cli

_RUN = ["run", "--num-images", "6", "--batch-size", "2", "--num-steps", "2", "--provider", "cpu"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--ray", "127.0.0.1:1", "--output", "out/"], "no Ray cluster at '127.0.0.1:1'"),
        (["--ray", "local", "--output", "out.png"], "give a folder"),
        (["--ray", "local", "--output", "out/", "--warmup"], "--warmup"),
        (["--ray", "local", "--output", "out/", "--save-every", "1"], "--save-every"),
    ],
)
def test_what_cannot_run_is_said_before_anything_is_made(
    options: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as exited:
        cli.main([*_RUN, *options])
    assert exited.value.code == 2
    error = capfd.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_run_on_ray_goes_on_with_a_folder_and_writes_the_files_of_a_plain_run(tmp_path: Path) -> None:
    _run("--output", "plain/", folder=tmp_path)
    _run("--output", "ray/", folder=tmp_path)
    for index in (0, 5):
        (tmp_path / "ray" / f"{index:06d}.png").unlink()
    told = _run("--output", "ray/", "--ray", "local", "--ray-cpus", "1", folder=tmp_path)
    assert "4 images" in told
    assert _files(tmp_path / "ray") == _files(tmp_path / "plain")


def _run(*options: str, folder: Path) -> str:
    command = [str(Path(sys.executable).with_name("ddim-edge")), *_RUN, *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True, timeout=120)
    return done.stdout


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}
