"""Plays a stranger: clones this repository's commit, and types what README.md says, from the top to the bottom.

``python3 -m tests.first_hour``, or ``make test-first-hour``. The home folder is a new one, and no package is there but
those that README.md installs. Each command is printed with its exit code; the pictures are compared with what the text
announces. Commands that need what is not there (a mark in README.md) are left out, and said. It needs a package index.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from tests.first_hour.pictures import problems
from tests.first_hour.shell import Shell, stranger
from tests.helpers.documents import ROOT, blocks, shell_lines

DOCUMENT = "README.md"


def play(work: Path) -> list[str]:
    """Type the document's commands in a clone below ``work``; what went wrong, a line each."""
    shell = Shell(work, stranger(work))
    try:
        wrong = _typed(shell, [f"git clone --quiet {ROOT} clone", "cd clone"])
        for block in blocks(DOCUMENT) if not wrong else []:
            if block.needs:
                print(f"      left out, needs {block.needs}: {block.text.splitlines()[0]}", flush=True)
            elif block.language == "sh":
                wrong += _typed(shell, shell_lines(block.text))
        return wrong + problems(shell)
    finally:
        shell.close()


def _typed(shell: Shell, lines: list[str]) -> list[str]:
    wrong = []
    for line in lines:
        code, output = shell.type(line)
        print(f"  {code:3d} {line}", flush=True)
        if code:
            wrong.append(f"exit code {code}: {line}\n{output}")
    return wrong


def main() -> int:
    """The exit code: 1 if anything went wrong, and then the folder stays."""
    work = Path(tempfile.mkdtemp(prefix="first-hour-"))
    wrong = play(work)
    print("\n".join(wrong or ["All of it did what the text says."]))
    if wrong:
        print(f"The files are in {work}")
        return 1
    shutil.rmtree(work)
    return 0


if __name__ == "__main__":
    sys.exit(main())
