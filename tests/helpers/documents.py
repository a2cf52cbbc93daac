"""The fenced blocks of README.md and docs/, and who runs each: a mark in an HTML comment before the fence says it.

No mark: tests/docs_site/test_documents_run.py runs it, in its order. ``<!-- run by: tests/FILE.py::test_NAME -->``:
that test does. ``<!-- needs: WHAT -->``: nobody does, because WHAT is not there.
"""

import re
import shlex
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
DOCUMENTS = ["README.md", *(path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "docs").rglob("*.md")))]
RUNNABLE = {"sh", "bash", "console", "python"}
DATA = {"json", "nginx", "promql", "text", "toml", "yaml"}
_BLOCK = re.compile(r"^(?:<!-- (needs|run by): (.+?) -->\n)?```([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_COMMAND = re.compile(r"^(?:\S*/)?ddim-edge (.+)$")


class Block(NamedTuple):
    """A fenced block: where it stands, what its mark says, its language and its text."""

    document: str
    line: int
    needs: str
    run_by: str
    language: str
    text: str

    @property
    def name(self) -> str:
        """The document and the line of the fence."""
        return f"{self.document}:{self.line}"

    @property
    def runs_unmarked(self) -> bool:
        """Whether it is left to the test that runs whole documents."""
        return self.language in RUNNABLE and not self.needs and not self.run_by


def blocks(document: str) -> list[Block]:
    """The fenced blocks of a document of the repository, in their order."""
    text = (ROOT / document).read_text(encoding="utf-8")
    return [
        Block(
            document,
            text[: found.start(3)].count("\n") + 1,
            found[2] if found[1] == "needs" else "",
            found[2] if found[1] == "run by" else "",
            found[3],
            found[4],
        )
        for found in _BLOCK.finditer(text)
    ]


def shell_lines(text: str) -> list[str]:
    """The commands of a block of shell: continued lines joined, comments and empty lines left out."""
    joined = re.sub(r"\\\n\s*|(?<=\|)\n\s*", " ", text)
    return [line for line in joined.splitlines() if line.strip() and not line.startswith("#")]


def ddim_edge_words(block: Block) -> list[list[str]]:
    """The words after ``ddim-edge`` of each command of the program in a block of shell."""
    if block.language not in {"sh", "bash"}:
        return []
    lines = [line.rpartition(" | ")[2] for line in shell_lines(block.text)]
    words = [shlex.split(found[1], comments=True) for line in lines if (found := _COMMAND.match(line))]
    return [each[: each.index(">")] if ">" in each else each for each in words]
