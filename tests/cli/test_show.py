"""``run --show``: where it draws, and where it does not."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.command_line import Invoke


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard output is a terminal with colours."""
    monkeypatch.setattr("ddim_edge.cli.show._is_terminal", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


@pytest.mark.usefixtures("terminal")
def test_show_draws_the_picture_in_the_terminal(invoke: Invoke, tmp_path: Path, tiny_bundle: Path) -> None:
    outcome = invoke("run", tiny_bundle, "-s", 1, "-n", 1, "--show", "-o", "out.png")
    lines = outcome.out.splitlines()
    assert len(lines) == 4 + 1
    assert all(line.count("▀") == 8 for line in lines[:4])
    with Image.open(tmp_path / "out.png") as picture:
        upper, lower = (np.asarray(picture)[row, 0] for row in (0, 1))
    assert lines[0].startswith(f"\x1b[38;2;{upper};{upper};{upper}m\x1b[48;2;{lower};{lower};{lower}m▀")


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_a_terminal_without_colours_gets_none(
    invoke: Invoke, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    outcome = invoke("run", tiny_bundle, "-s", 1, "-n", 1, "--show")
    assert "\x1b" not in outcome.out
    assert f"nothing is drawn, because {name} is " in outcome.err


def test_a_pipe_gets_no_picture(invoke: Invoke, tiny_bundle: Path) -> None:
    outcome = invoke("run", tiny_bundle, "-s", 1, "-n", 1, "--show")
    assert (outcome.code, outcome.out.count("\n")) == (0, 1)
    assert outcome.err == "ddim-edge: --show: nothing is drawn, because standard output is no terminal\n"


@pytest.mark.usefixtures("terminal")
def test_quiet_and_json_print_what_they_say(invoke: Invoke, tiny_bundle: Path) -> None:
    quiet = invoke("run", tiny_bundle, "-s", 1, "-n", 1, "--show", "--quiet")
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")
    assert json.loads(invoke("run", tiny_bundle, "-s", 1, "-n", 1, "--show", "--json").out)["images"] == 1
