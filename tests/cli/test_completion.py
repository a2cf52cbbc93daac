"""Completion in the shell."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.shell_completion import ShellComplete

from ddim_edge.bundle.presets import write_preset
from ddim_edge.cli import cli
from ddim_edge.diffusion.samplers import SAMPLERS
from ddim_edge.runtime.providers.table import NAMES

LABELS = ["sandal", "shirt", "sneaker"]


def completions(line: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the shell is told for a command line whose last word is incomplete: values, or ``<dir>`` and ``<file>``."""
    monkeypatch.setenv("_DDIM_EDGE_COMPLETE", "bash_complete")
    *words, incomplete = line.split(" ")
    found = ShellComplete(cli, {}, "ddim-edge", "_DDIM_EDGE_COMPLETE").get_completions(words, incomplete)
    return [item.value if item.type == "plain" else f"<{item.type}>" for item in found]


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("ru", ["run"]),
        ("run fash", ["<dir>", "fashion-mnist", "fashion-mnist-turbo"]),
        ("serve fash", ["<dir>", "fashion-mnist", "fashion-mnist-turbo"]),
        ("worker fash", ["<dir>", "fashion-mnist", "fashion-mnist-turbo"]),
        ("bench fash", ["<dir>", "fashion-mnist", "fashion-mnist-turbo"]),
        ("build fash", ["<dir>", "fashion-mnist", "fashion-mnist-turbo"]),
        ("inspect fash", ["<dir>", "fashion-mnist", "fashion-mnist-turbo"]),
        ("tune fash", ["<dir>", "fashion-mnist", "fashion-mnist-turbo"]),
        ("tune no-such-model --labels s", []),
        ("run no-such-model --preset ", []),
        ("encode --model fash", ["<dir>", "fashion-mnist", "fashion-mnist-turbo"]),
        ("interpolate -m fash", ["<dir>", "fashion-mnist", "fashion-mnist-turbo"]),
        ("run --sampler ", list(SAMPLERS)),
        ("run --provider ", list(NAMES)),
        ("build --provider tensorrt-", ["tensorrt-rtx"]),
        ("run --precision b", ["bfloat16"]),
        ("run --labels s", LABELS),
        ("run fashion-mnist --labels bag,s", [f"bag,{label}" for label in LABELS]),
        ("run no-such-model --labels s", []),
        ("encode coat.png --labels s", LABELS),
        ("encode fashion-mnist coat.png --labels s", LABELS),
        ("encode fash", ["<file>", "fashion-mnist", "fashion-mnist-turbo"]),
        ("interpolate fash", ["<file>", "fashion-mnist", "fashion-mnist-turbo"]),
        ("encode --model no-such-model coat.png --labels s", []),
        ("run --output ima", ["<file>"]),
        ("run --init-image ima", ["<file>"]),
        ("export sourc", ["<file>"]),
    ],
)
def test_values_are_completed(line: str, values: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert completions(line, monkeypatch) == values


def test_the_presets_of_the_model_are_completed(new_bundle: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = new_bundle()
    for name in ("fast", "near"):
        write_preset(folder, name, {"cache": "forecast:2"}, {})
    assert completions(f"run {folder} --preset ", monkeypatch) == ["fast", "near"]
    assert completions(f"tune {folder} --labels c", monkeypatch) == ["cat"]


def test_a_shell_gets_them_from_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_DDIM_EDGE_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "ddim-edge run --sampler dp")
    monkeypatch.setenv("COMP_CWORD", "3")
    program = Path(sys.executable).with_name("ddim-edge")
    names = [name for name in SAMPLERS if name.startswith("dp")]
    assert subprocess.check_output([program], text=True, timeout=120).split() == [f"plain,{name}" for name in names]
