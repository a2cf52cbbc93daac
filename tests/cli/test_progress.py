"""The bar of a run: which image, which step of it, and the phase."""

import io
import re
import sys
from pathlib import Path

import pytest

from ddim_edge.cli.progress import image_bar, position
from ddim_edge.generation.pipeline import Pipeline, load
from ddim_edge.generation.requests.request import Request
from tests.helpers.command_line import Invoke


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def _terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """In the place of stderr; pytest replaces it between a fixture and its test."""
    for name, value in {"TERM": "xterm", "COLUMNS": "80"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stderr", stream := Terminal())
    return stream


def _last_drawn(stream: Terminal) -> str:
    """The last line that was drawn before the bar went."""
    lines = re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue()))
    return [line for line in lines if line.strip()][-1]


@pytest.mark.parametrize(
    ("phase", "indices", "calls", "text"),
    [
        ("steps", range(2, 3), 2 * 50 + 12, "steps  image 3 of 16, step 12 of 50"),
        ("steps", range(4, 8), 50, "steps  images 5-8 of 16, step 0 of 50"),
        ("text", range(1), 0, "text   image 1 of 16"),
        ("decode", range(15, 16), 799, "decode image 16 of 16"),
        ("", range(0), 0, ""),
    ],
)
def test_the_position_in_a_run(phase: str, indices: range, calls: int, text: str) -> None:
    assert position(phase, indices, 16, calls, 50) == text


def test_a_narrow_terminal_has_it_on_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _terminal(monkeypatch)
    with image_bar(1000, 2, 50, visible=True) as bar:
        bar.phase("steps", range(896, 960))
        for _ in range(7):
            bar.advance(ends_batch=False)
    assert _last_drawn(terminal).startswith("steps  images 897-960 of 1000, step 7 of 50 ")
    assert len(_last_drawn(terminal)) <= 80


def test_phases_come_in_their_order(tiny_bundle: Path) -> None:
    pipeline = load(tiny_bundle)
    request, seen = pipeline.request(num_images=3, batch_size=2, num_steps=2), list[object]()
    for progress in pipeline.run(request, on_phase=lambda *begun: seen.append(begun)):
        seen.append(progress.calls)
    of_two, of_one = ([("steps", chunk), 1, ("decode", chunk), 2] for chunk in (range(2), range(2, 3)))
    assert seen == [*of_two, *of_one]


def test_a_run_on_a_terminal_shows_where_it_is(
    invoke: Invoke, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal, opened, checked = _terminal(monkeypatch), list[str](), Pipeline.check

    def check(self: Pipeline, request: Request) -> None:
        opened.append(_last_drawn(terminal))
        checked(self, request)

    monkeypatch.setattr(Pipeline, "check", check)
    assert invoke("run", tiny_bundle, "-n", 3, "-b", 1, "-s", 2, "-o", "a.png").code == 0
    assert opened[0].startswith("load ")
    assert _last_drawn(terminal).startswith("decode image 3 of 3 ")


def test_elsewhere_nothing_is_shown(invoke: Invoke, tiny_bundle: Path) -> None:
    assert invoke("run", tiny_bundle, "-n", 1, "-s", 1, "-o", "a.png").err == ""
