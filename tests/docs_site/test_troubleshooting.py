"""docs/troubleshooting.md: the messages that no command there shows (test_documents_run.py) are in the source."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_TEXT = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
_SHOWN = re.findall(r"^```console\n\$ ddim-edge .*\n.*\n```$", _TEXT, re.MULTILINE)
_NAMES = "…|unet/model.onnx|model_index.json"
"""What differs, and what the source has as constants."""
_QUOTED = re.findall(r"^```text\n(.*)\n```$", _TEXT, re.MULTILINE)


def _texts_of(path: Path) -> list[str]:
    """All texts in a file of Python; those of an f-string, in one line."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    constants = (node for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return [node.value for node in constants if isinstance(node.value, str)]


@pytest.fixture(scope="module")
def source() -> str:
    paths = [path for folder in ("ddim_edge", "export") for path in (ROOT / folder).rglob("*.py")]
    return "\n".join(text for path in paths for text in _texts_of(path))


def test_there_are_twenty() -> None:
    assert len(re.findall("^### ", _TEXT, re.MULTILINE)) >= 20
    assert len(_SHOWN) + len(_QUOTED) >= 20


@pytest.mark.parametrize("message", _QUOTED)
def test_the_message_is_in_the_source(message: str, source: str) -> None:
    fragments = [fragment for fragment in re.split(_NAMES, message) if len(fragment) > 3]
    assert fragments
    assert [fragment for fragment in fragments if fragment not in source] == []
