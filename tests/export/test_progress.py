"""The stages of an export on stderr."""

import io
import re
import sys

import pytest

from ddim_edge_export.progress import show_stages


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def _shown(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys, "stderr", stream)
    with show_stages() as on_stage:
        on_stage("unet", "load")
        on_stage("unet", "export")
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue())


def test_a_terminal_has_the_time_that_each_stage_took(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [line.strip() for line in re.split(r"[\r\n]+", _shown(Terminal(), monkeypatch))]
    ended = [line for line in lines if re.fullmatch(r"unet .*, [0-9.]+ s", line)]
    assert [line.rpartition(",")[0] for line in ended] == [
        "unet load: reading the weights",
        "unet export: tracing the network to ONNX",
    ]
    assert not re.search(r"%|[0-9]/[0-9]", " ".join(lines))


def test_elsewhere_there_is_a_line_for_each_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    text = _shown(io.StringIO(), monkeypatch)
    assert text == "unet load: reading the weights\nunet export: tracing the network to ONNX\n"
