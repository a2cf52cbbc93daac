"""(c) From nothing to the first finished image: a fresh process that loads the model, makes one image and ends."""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from ..results import BENCH, ROOT
from .processes import Notify, Subject, compare

NUM_STEPS = 10
ROUNDS = 7
BAR = 8.0

Command = list[str]


def measure(subject: Subject, notify: Notify) -> dict[str, Any]:
    """Medians of interleaved rounds, after one that is not counted: it fills the system's file cache."""
    with tempfile.TemporaryDirectory() as name:
        commands = _commands(subject, Path(name))
        taken: dict[str, list[tuple[float, float]]] = {side: [] for side in commands}
        for number in range(ROUNDS + 1):
            notify(f"start-up: round {number} of {ROUNDS}")
            for side, command in commands.items():
                taken[side].append(_run(command))
    return _summary({side: runs[1:] for side, runs in taken.items()})


def _summary(taken: dict[str, list[tuple[float, float]]]) -> dict[str, Any]:
    own = [seconds for seconds, _ in taken["ours"]]
    sides = {}
    for side, runs in taken.items():
        seconds, peaks = zip(*runs, strict=True)
        median = round(statistics.median(seconds), 3)
        sides[side] = {"seconds": median, "peak_mib": round(max(peaks)), **compare(own, seconds)}
    return {"num_steps": NUM_STEPS, "rounds": ROUNDS, "bar": BAR, "sides": sides}


def _commands(subject: Subject, folder: Path) -> dict[str, Command]:
    _write_diffusers_folder(subject, folder / "diffusers")
    ours = [*_entry_point(), "run", str(subject.bundle), "--num-images", "1", "--steps", str(NUM_STEPS)]
    script = [sys.executable, str(BENCH / "speed" / "diffusers_start.py"), str(folder / "diffusers")]
    return {
        "ours": [*ours, "--provider", "cpu", "--quiet", "--output", str(folder / "ours.png")],
        "diffusers": [*script, str(NUM_STEPS), str(folder / "theirs.png")],
    }


def _entry_point() -> Command:
    """The installed ``ddim-edge`` of this environment, or the same function from the source tree."""
    installed = shutil.which("ddim-edge", path=Path(sys.executable).parent)
    return [installed] if installed else [sys.executable, "-c", "from ddim_edge.cli import main; main()"]


def _write_diffusers_folder(subject: Subject, folder: Path) -> None:
    """In a process of its own: a child's peak memory starts at its parent's, so no torch in this one."""
    trained = [str(subject.diffusers_folder)] if subject.diffusers_folder else []
    command = [sys.executable, "-m", "bench.speed.diffusers_side", str(subject.bundle), str(folder / "unet"), *trained]
    subprocess.run(command, cwd=ROOT, check=True)
    shutil.copytree(subject.bundle / "scheduler", folder / "scheduler")


def _run(command: Command) -> tuple[float, float]:
    """Seconds until the process has ended, and its peak memory in MiB."""
    with tempfile.TemporaryFile("w+") as errors:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            raise RuntimeError(f"{' '.join(command)} ended with code {process.returncode}: {errors.read()}")
    return seconds, usage.ru_maxrss / 1024
