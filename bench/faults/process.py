"""The command of a scenario as a process that is killed at a moment or before a change of a file."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from ..results import ROOT
from .scenarios import Contents, Scenario


class Ended(NamedTuple):
    """How the process ended."""

    code: int
    said: str
    seconds: float

    @property
    def last_line(self) -> str:
        """The last line of stderr."""
        return (self.said.strip().splitlines() or [""])[-1]


class Whole(NamedTuple):
    """A run without a fault: its files, its duration, and how many changes of files it makes."""

    contents: Contents
    seconds: float
    changes: int


def run(scenario: Scenario, folder: Path, *, before_change: int = -1, after: float | None = None) -> Ended:
    """Run the command in ``folder``; kill it, and what it started, before a change or ``after`` seconds."""
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "DDIM_EDGE_CACHE": str(folder / "cache"),
    }
    command = [sys.executable, "-m", "bench.faults.child", str(before_change), *scenario.arguments]
    began = time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        _, said = process.communicate(timeout=after)
    except subprocess.TimeoutExpired:
        _kill_group(process)
        _, said = process.communicate()
    _kill_group(process)
    return Ended(process.returncode, said, time.perf_counter() - began)


def run_whole(scenario: Scenario, folder: Path) -> Whole:
    """Run the command to its end in a new folder; RuntimeError if it fails."""
    folder.mkdir()
    scenario.prepare(folder)
    ended = run(scenario, folder, before_change=0)
    if ended.code != 0:
        raise RuntimeError(f"{scenario.title} fails without a fault: {ended.said}")
    return Whole(scenario.contents(folder), ended.seconds, int(ended.last_line))


def kill_once(scenario: Scenario, folder: Path, whole: Whole, generator: random.Random) -> Ended:
    """Kill the command at a random moment, or before a random change of a file."""
    if generator.random() < 0.5:
        return run(scenario, folder, after=generator.uniform(0.3, 1.05) * whole.seconds)
    return run(scenario, folder, before_change=generator.randint(1, whole.changes))


def _kill_group(process: subprocess.Popen[str]) -> None:
    """Kill the process and those that it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
