"""docs/first-ten-minutes.md: its commands and its Python run in order, in one fresh folder, and do what it says."""

import contextlib
import io
import re
import shlex
from pathlib import Path

import pytest
from PIL import Image

from tests.helpers.command_line import Invoke

ROOT = Path(__file__).parents[2]
_TEXT = (ROOT / "docs" / "first-ten-minutes.md").read_text(encoding="utf-8")
_BLOCKS = re.findall(r"^(<!-- needs: .*-->\n)?```(\w+)\n(.*?)^```$", _TEXT, re.DOTALL | re.MULTILINE)


def _fewer(arguments: list[str]) -> list[str]:
    """One step, or two of which half are made, are enough here."""
    return [] if "--from-image" in arguments else ["--num-steps", "2" if "--strength" in arguments else "1"]


@pytest.mark.slow
def test_everything_runs_in_its_order(invoke: Invoke, tmp_path: Path) -> None:
    summaries = []
    for needs, language, block in _BLOCKS:
        if needs:
            continue
        if language == "python":
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                exec(compile(block, "first-ten-minutes.md", "exec"), {})
            assert printed.getvalue() == "(2, 28, 28, 1)\n"
            continue
        for line in block.splitlines():
            program, *arguments = shlex.split(line.replace("CLONE", str(ROOT)))
            assert program == "ddim-edge"
            outcome = invoke(*arguments, *_fewer(arguments))
            assert (outcome.code, outcome.err) == (0, ""), (line, outcome.err)
            summaries.append(outcome.out)
    named = re.findall(r"(?:--output|save\(\")\s*(\w+\.png)", _TEXT)
    assert len(named) >= 10
    assert all(Image.open(tmp_path / name).size > (0, 0) for name in named)
    assert (tmp_path / "coat.png").read_bytes() == (tmp_path / "again.png").read_bytes()
    assert len([*(tmp_path / "many").glob("*.png")]) == 20
    assert "0 images" in summaries[-1] or "there" in summaries[-1]
