"""README.md and docs/: what a reader copies runs as it stands, in its order, in a fresh folder for each document.

Smaller: numbers of steps (but for the emoji model, whose colours are looked at), numbers of images, and one size.
Environments and ``pip install`` are left out: tests/first_hour makes and installs what README.md says, and
tests/packaging reads every such line. tests/docs_site/test_blocks.py says who runs the blocks that are marked.
"""

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
import urllib.request
from pathlib import Path
from unittest.mock import patch

import pytest

from tests.docs_site.promises import PROMISES
from tests.helpers.command_line import COMMAND, Invoke
from tests.helpers.documents import DOCUMENTS, ROOT, Block, blocks, shell_lines
from tests.helpers.policy_bundles import write_policy

_SLOW = {"docs/first-ten-minutes.md", "docs/pictures.md", "docs/server.md", "docs/stable-diffusion.md"}
_FEW_STEPS = {f"DDIM_EDGE_{command}_NUM_STEPS": "2" for command in ("RUN", "ENCODE", "INTERPOLATE")}
_SMALLER = [
    (r"(--num-images) \d{3,}", r"\1 5"),
    (r"(--num-steps |num_steps=)\d{2,}", r"\g<1>2"),
    (r"--height 512 --width 768", "--height 32 --width 48"),
    (r"--frames 24", "--frames 3"),
    ("CLONE/", ""),
    (r"deadline=0\.05", "deadline=5"),
    (r"hz=10\b", "hz=100"),
]
_NO_TERMINAL = "ddim-edge: --show: nothing is drawn, because standard output is no terminal\n"
_TO_RUN = {document: [block for block in blocks(document) if block.runs_unmarked] for document in DOCUMENTS}


@pytest.fixture
def reader(invoke: Invoke, tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> "Reader":
    """Someone who has a clone's models, a bundle of their own, a text model, a policy, and a file of prompts."""
    monkeypatch.delenv("DDIM_EDGE_API_KEY", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}")
    (tmp_path / "models").symlink_to(ROOT / "models")
    (tmp_path / "my-bundle").symlink_to(tiny_bundle)
    (tmp_path / "sd15").symlink_to(ROOT / "models" / "emoji")
    write_policy(tmp_path / "push")
    (tmp_path / "prompts.txt").write_text("pizza\nred apple\n")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "generate-prompts").write_text("#!/bin/sh\ncat prompts.txt\n")
    (tmp_path / "bin" / "generate-prompts").chmod(0o755)
    return Reader(invoke, tmp_path)


class Reader:
    """Runs blocks; ``printed`` is what their commands and their Python wrote to standard output."""

    def __init__(self, invoke: Invoke, folder: Path) -> None:
        self.folder = folder
        self.printed: list[str] = []
        self._invoke = invoke

    def run(self, block: Block) -> None:
        text = block.text
        for pattern, smaller in [] if block.language == "console" else _SMALLER:
            text = re.sub(pattern, smaller, text)
        if block.language == "python":
            self._python(block.name, text)
        elif block.language == "console":
            self._failing(text)
        else:
            for line in shell_lines(text):
                self._line(line)

    def _python(self, name: str, code: str) -> None:
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(compile(code, name, "exec"), {})
        assert printed.getvalue() or "print(" not in code
        self.printed.append(printed.getvalue())

    def _failing(self, text: str) -> None:
        """A command that the document shows with its error."""
        command, _, message = text.partition("\n")
        outcome = self._invoke(*shlex.split(command.removeprefix("$ ddim-edge ")))
        assert (outcome.code, outcome.out, outcome.err) == (2, "", message), command

    def _line(self, line: str) -> None:
        words = shlex.split(line, comments=True)
        if words[:2] == ["pip", "install"] or words[:3] == ["python3", "-m", "venv"]:
            return
        if words[:2] == ["ddim-edge", "serve"]:
            self._serve(words[1:])
        elif words[0] == "ddim-edge" and ">" not in words:
            with patch.dict(os.environ, {} if {"models/emoji", "--preset"} & set(words) else _FEW_STEPS):
                outcome = self._invoke(*words[1:])
            said = _NO_TERMINAL if "--show" in words else ""
            assert (outcome.code, outcome.err) == (0, said), line
            self.printed.append(outcome.out)
        else:
            subprocess.run(["bash", "-ec", line], cwd=self.folder, check=True)

    def _serve(self, words: list[str]) -> None:
        """Serve at any port until it answers."""
        command = [*COMMAND, *words, "--port", "0"]
        with subprocess.Popen(command, cwd=self.folder, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            address = process.stderr.readline().split()[-1]
            assert urllib.request.urlopen(f"{address}/health/live", timeout=60).status == 200
            process.terminate()
            process.stderr.read()
        assert process.returncode == 0


@pytest.mark.parametrize(
    "document",
    [pytest.param(name, marks=[pytest.mark.slow] * (name in _SLOW)) for name in DOCUMENTS if _TO_RUN[name]],
)
def test_it_runs_in_its_order(document: str, reader: Reader) -> None:
    for block in _TO_RUN[document]:
        reader.run(block)
    if document in PROMISES:
        PROMISES[document](reader.folder, reader.printed)


def test_every_promise_is_of_a_document_that_is_run() -> None:
    assert {document for document in PROMISES if not _TO_RUN[document]} == set()
