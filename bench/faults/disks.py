"""A disk that is full and a folder that is read-only: small file systems in memory. Mounting them needs root."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .process import Ended, Whole, run
from .scenarios import Scenario, torn

_PAGE = 4096
_SIZE = 64 * 2**20
NOT_MEASURED = "not measured"


def full_disk(scenario: Scenario, folder: Path, whole: Whole) -> str:
    """Run the command where half of its output fits, then once more with space."""
    with _mounted(folder) as mounted:
        if not mounted:
            return NOT_MEASURED
        scenario.prepare(folder)
        filler = folder / "filler"
        _fill(filler, sum(map(len, whole.contents.values())) // 2)
        ended = run(scenario, folder)
        fault = _fault(ended) or _torn(scenario, folder, whole)
        filler.unlink()
        return fault or _goes_on(scenario, folder, whole)


def read_only_folder(scenario: Scenario, folder: Path, whole: Whole) -> str:
    """Run the command where nothing can be written, then once more where it can."""
    with _mounted(folder) as mounted:
        if not mounted:
            return NOT_MEASURED
        scenario.prepare(folder)
        _mount("-o", "remount,ro", str(folder))
        ended = run(scenario, folder)
        left = scenario.contents(folder)
        _mount("-o", "remount,rw", str(folder))
        return _fault(ended) or (f"left {sorted(left)}" if left else "") or _goes_on(scenario, folder, whole)


def _fill(filler: Path, free: int) -> None:
    """Write until the disk is full, then give ``free`` bytes back, in pages."""
    with open(filler, "wb", buffering=0) as file:
        try:
            while file.write(bytes(_PAGE)):
                pass
        except OSError:
            file.truncate(max(file.tell() - free // _PAGE * _PAGE, 0))


def _fault(ended: Ended) -> str:
    """What is wrong with how the command ended; empty for one line that names the reason."""
    if ended.code not in (1, 2) or "Traceback" in ended.said or not ended.last_line.startswith("ddim-edge: "):
        return f"ended with {ended.code}: {ended.said[-300:]}"
    return ""


def _torn(scenario: Scenario, folder: Path, whole: Whole) -> str:
    names = torn(scenario.contents(folder), whole.contents)
    return f"torn: {names}" if names else ""


def _goes_on(scenario: Scenario, folder: Path, whole: Whole) -> str:
    run(scenario, folder)
    return "one line, then the same bytes" if scenario.contents(folder) == whole.contents else "not the same bytes"


@contextmanager
def _mounted(folder: Path) -> Iterator[bool]:
    """Mount a small disk at ``folder``; yields whether the system allows it."""
    folder.mkdir()
    mounted = _mount("-t", "tmpfs", "-o", f"size={_SIZE}", "tmpfs", str(folder))
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", str(folder)], check=True)


def _mount(*arguments: str) -> bool:
    return subprocess.run(["mount", *arguments], capture_output=True, check=False).returncode == 0
