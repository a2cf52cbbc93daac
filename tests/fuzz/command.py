"""Plays a case: calls the command line in this process and judges how it ended."""

import contextlib
import io
import os
import re
import shutil
import sys
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path

from ddim_edge.cli import INTERRUPTED, main

from .case import OUTPUTS, Case
from .guard import Hung, guarded
from .played import LONGEST_LINE, Played

_PNG_END = b"IEND\xaeB`\x82"
_NAN = re.compile(r"ddim-edge: .*(NaN or infinity|not finite)")


def play(case: Case) -> Played:
    """Call the command line of ``case`` in a temporary folder."""
    with _in_folder(case) as output:
        return _call(case, output)


def made_by(case: Case) -> dict[str, bytes]:
    """The files that a case with nothing wrong in it writes, by their paths."""
    with _in_folder(case) as output:
        assert _call(case, output) == Played("exit 0"), case.arguments
        return {str(path.relative_to(output)): path.read_bytes() for path in output.rglob("*") if path.is_file()}


@contextlib.contextmanager
def _in_folder(case: Case) -> Iterator[Path]:
    """Write the files of ``case`` to a temporary folder; yields its folder of outputs, the current one meanwhile."""
    root, former = Path(tempfile.mkdtemp(prefix="fuzz-")), Path.cwd()
    try:
        case.write(root)
        os.chdir(root / OUTPUTS)
        yield root / OUTPUTS
    finally:
        os.chdir(former)
        shutil.rmtree(root)


def _call(case: Case, output: Path) -> Played:
    code, crash = 0, ""
    with _captured() as err:
        try:
            with guarded(output) as faults:
                main(list(case.arguments))
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        except Hung as hung:
            return Played("hung", f"{hung}: {_last_frames(hung)}")
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            crash = f"{error!r}: {_last_frames(error)}"
    if code == INTERRUPTED:
        raise KeyboardInterrupt
    outcome = f"exit {code}"
    return Played(outcome, crash or "; ".join(faults) or _fault(case, code, err.getvalue().decode(), output))


def _fault(case: Case, code: int, err: str, output: Path) -> str | None:
    """What is wrong with an exit code, the text on stderr and the files of the output, if anything."""
    lines = [line for line in err.splitlines() if not line.startswith("ddim-edge: warning: ")]
    if code == 0:
        return "it succeeded, and there is no right result" if case.must_fail else _wrong_file(case, output)
    if code == 1 and len(lines) == 1 and _NAN.match(lines[0]):
        return None  # a network's fault, not the user's
    if code != 2 or "there is too little memory" in err:
        return f"exit code {code}: {err[-400:]}"
    if len(lines) != 1 or not lines[0].startswith("ddim-edge: "):
        return f"not one line: {err[:400]!r}"
    return f"{len(lines[0])} characters: {lines[0][:200]}" if len(lines[0]) > LONGEST_LINE else None


def _wrong_file(case: Case, output: Path) -> str | None:
    """The first file of the output that is not what it must be, if there is one: pictures are whole."""
    for name, contents in case.right.items():
        if not (output / name).is_file() or (output / name).read_bytes() != contents:
            return f"{name} is not as it must be"
    cut = (path.name for path in output.rglob("*.png") if path.is_file() and not path.read_bytes().endswith(_PNG_END))
    return next((f"{name} is not whole" for name in cut), None)


def _last_frames(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    return " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames))


@contextlib.contextmanager
def _captured() -> Iterator[io.BytesIO]:
    """Catch standard output and standard error of the block; yields the bytes of the latter."""
    out, err = io.BytesIO(), io.BytesIO()
    former = sys.stdout, sys.stderr
    sys.stdout = io.TextIOWrapper(out, "utf-8", write_through=True)
    sys.stderr = io.TextIOWrapper(err, "utf-8", "backslashreplace", write_through=True)
    try:
        yield err
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.detach()  # or the bytes would be gone with it
        sys.stdout, sys.stderr = former
