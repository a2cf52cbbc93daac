"""How the command line ends where the system does not let it work: one line, and no traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.command_line import COMMAND, Invoke

ROOT = Path(__file__).parents[2]


def _run(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("module", ["numpy", "click", "PIL.Image", "onnxruntime"])
def test_ctrl_c_while_a_module_is_imported(tmp_path: Path, module: str) -> None:
    code = f"""
import sys
class Interrupts:
    def find_spec(self, name, *_):
        if name == {module!r}:
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupts())
sys.argv = ["ddim-edge", "run", "-s", "1"]
from ddim_edge_main import main
main()
"""
    done = _run(code, tmp_path)
    assert (done.returncode, done.stdout, done.stderr.lstrip()) == (130, "", "ddim-edge: interrupted\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("arguments", [["--help"], ["inspect", "fashion-mnist"], ["run", "-s", "1"]])
def test_output_that_cannot_be_written(tmp_path: Path, arguments: list[str]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*COMMAND, *arguments], cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    expected = "ddim-edge: cannot write the output: No space left on device\n"
    assert (done.returncode, done.stderr) == (2, expected)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_errors_that_cannot_be_written(tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run([*COMMAND, "run", "-s", "0"], cwd=tmp_path, stderr=full, check=False)
    assert done.returncode == 2


def test_a_current_folder_that_was_deleted(invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    (tmp_path / "x.py").touch()

    def deleted() -> str:
        raise FileNotFoundError

    monkeypatch.setattr(os, "getcwd", deleted)
    for command in (["run"], ["run", "-o", "x.png"], ["doctor"], ["export", "a", "b"]):
        assert invoke(*command).failed_with("the current folder does not exist any more: change to another one")


def test_a_name_that_the_output_cannot_encode(tmp_path: Path) -> None:
    command = [*map(os.fsencode, COMMAND), b"run", b"-s", b"1", b"-n", b"1", b"-o", b"\xe9.png"]
    environment = os.environ | {"PYTHONIOENCODING": "utf-8:strict"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"\\udce9.png  (1 image")


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "x" * 5000],
        ["run", "-l", "x" * 5000],
        ["run", "--steps", "9" * 5000],
        ["run", "--steps", "x" * 5000],
        ["run", "--sampler", "x" * 5000],
        ["run", "-c", "x" * 5000],
        ["run", "-c", "eta=" + "[" * 90_000],
        ["run", "--guidance-interval", "x" * 5000],
        ["run", "--provider", "x" * 5000],
        ["run", "--provider-option", "x" * 5000],
        ["run", "--noise", "x" * 5000],
        ["run", "--output", "x" * 5000 + "/y.png"],
        ["run", "--output=" + "x" * 300 + ".png", "-s", "1"],
        ["run", "--init-image", "x" * 5000],
        ["run", "--from-image", "x" * 5000],
        ["run", "--latents", "x" * 5000],
        ["run", "--prompts", "x" * 5000],
        ["run", "--" + "x" * 5000],
        ["run", *["a b c"] * 1000],
        ["x" * 5000],
        ["inspect", "x" * 5000],
        ["interpolate", "x" * 5000, "1"],
        ["encode", "x" * 5000, "-o", "a.npz"],
        ["build", "x" * 5000, "-p", "cpu"],
        ["bench", "x" * 5000],
        ["bench", "-b", "x" * 5000],
    ],
    ids=lambda arguments: " ".join(arguments)[:30],
)
def test_a_message_repeats_at_most_200_characters(invoke: Invoke, arguments: list[str]) -> None:
    outcome = invoke(*arguments)
    assert outcome.failed_with("")
    assert len(outcome.err) < 800
    for letter in "x9[":
        assert letter * 201 not in outcome.err
