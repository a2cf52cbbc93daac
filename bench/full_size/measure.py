"""Measures one process from its start to its end: when its steps ended, and the memory of it and its children."""

import contextlib
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ddim_edge.runtime.workers.process import exit_text

Record = dict[str, Any]
_SAMPLED_EVERY_S = 0.02
_CHUNK = 16 * 2**20
_PRIVATE, _MAPPED = ("RssAnon:", "RssShmem:"), ("RssFile:",)


class RunFailedError(Exception):
    """A process did not make its image; the message is its last line on standard error."""


def files_of(paths: Iterable[Path]) -> list[Path]:
    """The files among these, and those in the folders among these."""
    return [file for path in paths for file in (path, *sorted(path.rglob("*"))) if file.is_file()]


def read_files(paths: Iterable[Path]) -> None:
    """Read every file once, so that all sides find theirs in the system's file cache."""
    for path in files_of(paths):
        with path.open("rb", buffering=0) as file:
            while file.read(_CHUNK):
                pass


def measure(command: Sequence[str], environment: Mapping[str, str], out: Path, timeout: float) -> Record:
    """Run a worker that writes its notes to ``out``; seconds, and MiB at the peak (sampled).

    Private memory belongs to the process alone; mapped memory is files', which the system can take back and share.
    Raises RunFailedError.
    """
    with tempfile.TemporaryFile() as log:
        began = time.monotonic()
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
        private, mapped = _watch(process, began + timeout)
        ended = time.monotonic()
        log.seek(0)
        if process.returncode:
            raise RunFailedError(_reason(process.returncode, log.read().decode("utf-8", "replace")))
    notes = json.loads((out / "notes.json").read_text())
    times = [notes["began"], *notes["steps"]]
    return {
        "seconds": round(ended - began, 2),
        "first_step_after": round(times[1] - began, 2),
        "step_seconds": [round(end - start, 4) for start, end in itertools.pairwise(times)],
        "after_steps": round(ended - times[-1], 2),
        "private_mib": round(private / 2**20),
        "mapped_mib": round(mapped / 2**20),
    }


def _watch(process: "subprocess.Popen[bytes]", deadline: float) -> tuple[int, int]:
    """The peaks of private and of mapped memory in bytes, when the process has ended; it is killed at the deadline."""
    peaks = (0, 0)
    try:
        while process.poll() is None:
            now = memory(process.pid)
            peaks = max(peaks[0], now[0]), max(peaks[1], now[1])
            if time.monotonic() > deadline:
                raise RunFailedError("it took longer than it may")
            time.sleep(_SAMPLED_EVERY_S)
    finally:
        _end(process)
    return peaks


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End what is left of the process and of its children."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, 9)
    process.wait()


def memory(pid: int) -> tuple[int, int]:
    """Private and mapped bytes of a process and its children; 0 of those that have just ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0, 0
    sizes = {words[0]: int(words[1]) * 1024 for words in map(str.split, lines) if words[0] in (*_PRIVATE, *_MAPPED)}
    below = [memory(int(child)) for child in children]
    private = sum(sizes.get(name, 0) for name in _PRIVATE) + sum(each[0] for each in below)
    mapped = sum(sizes.get(name, 0) for name in _MAPPED) + sum(each[1] for each in below)
    return private, mapped


def _reason(code: int, log: str) -> str:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return f"it {exit_text(code)}" + (f": {lines[-1][:300]}" if lines else "")


def worker_command(interpreter: str | None, worker: str, settings: Mapping[str, Any]) -> list[str]:
    """The command of a module of ``workers``; without an interpreter, this process's."""
    return [interpreter or sys.executable, "-m", f"bench.full_size.workers.{worker}", json.dumps(dict(settings))]
