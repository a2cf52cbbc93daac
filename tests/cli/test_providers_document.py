"""The commands of docs/providers.md for OpenVINO run as they stand."""

import importlib.util
import re
import shlex
from pathlib import Path

import pytest

from tests.helpers.command_line import Invoke

_DOCUMENT = Path(__file__).parents[2] / "docs" / "providers.md"


def _commands() -> list[list[str]]:
    section = _DOCUMENT.read_text(encoding="utf-8").split("\n## OpenVINO\n")[1]
    block = re.search(r"^```sh\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    assert block
    lines = [shlex.split(line) for line in block[1].splitlines()]
    assert lines[0] == ["pip", "install", "openvino"]
    return [words[1:] for words in lines if words[0] == "ddim-edge"]


@pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="openvino is not installed")
def test_the_commands_for_openvino_run(invoke: Invoke) -> None:
    commands = _commands()
    assert len(commands) == 2
    for words in commands:
        outcome = invoke(*words, "--steps", 1, "--num-images", 1)
        assert outcome.code == 0 or outcome.failed_with("does not compute in bfloat16 on this machine")
