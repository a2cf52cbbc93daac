"""From nothing to the first finished image: a fresh process that loads the model, makes one image and ends."""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ddim_edge.benchmark.rounds import Notify

from ..harness import column, compare, interleaved
from ..results import BENCH, ROOT
from . import Subject

NUM_STEPS = 10
ROUNDS = 7
BAR = 8.0

Command = Sequence[str]


def measure(subject: Subject, notify: Notify, rounds: int = ROUNDS) -> dict[str, Any]:
    """Medians of interleaved rounds, after one that is not counted: it fills the system's file cache."""
    with tempfile.TemporaryDirectory() as name:
        measures = {side: partial(run_command, command) for side, command in commands(subject, Path(name)).items()}
        taken = interleaved(measures, rounds, notify, warm_up=1)
    seconds = column(taken, "seconds")
    sides = {
        side: {
            "seconds": round(statistics.median(seconds[side]), 3),
            "peak_mib": round(max(run["peak_mib"] for run in runs)),
            **compare(seconds["ours"], seconds[side]),
        }
        for side, runs in taken.items()
    }
    return {"num_steps": NUM_STEPS, "rounds": rounds, "bar": BAR, "sides": sides}


def commands(subject: Subject, folder: Path) -> dict[str, Command]:
    """The command of each side; what they need is written to ``folder``."""
    _write_diffusers_folder(subject, folder / "diffusers")
    ours = [*entry_point(), "run", str(subject.bundle), "--num-images", "1", "--steps", str(NUM_STEPS)]
    script = [sys.executable, str(BENCH / "speed" / "diffusers_start.py"), str(folder / "diffusers")]
    return {
        "ours": [*ours, "--provider", "cpu", "--quiet", "--output", str(folder / "ours.png"), "--force"],
        "diffusers": [*script, str(NUM_STEPS), str(folder / "theirs.png")],
    }


def entry_point() -> Command:
    """The installed ``ddim-edge`` of this environment, or the same function from the source tree."""
    installed = shutil.which("ddim-edge", path=Path(sys.executable).parent)
    return [installed] if installed else [sys.executable, "-c", "from ddim_edge.cli import main; main()"]


def _write_diffusers_folder(subject: Subject, folder: Path) -> None:
    """In a process of its own: a child's peak memory starts at its parent's, so this one must not import torch."""
    trained = [str(subject.diffusers_folder)] if subject.diffusers_folder else []
    command = [sys.executable, "-m", "bench.speed.diffusers_side", str(subject.bundle), str(folder / "unet"), *trained]
    subprocess.run(command, cwd=ROOT, check=True)
    shutil.copytree(subject.bundle / "scheduler", folder / "scheduler")


def run_command(command: Command) -> dict[str, float]:
    """Run a command to its end: ``seconds`` until then, and its peak memory ``peak_mib``.

    Raises RuntimeError with what it wrote to standard error where it fails.
    """
    with tempfile.TemporaryFile("w+") as errors:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            raise RuntimeError(f"{' '.join(command)} ended with code {process.returncode}: {errors.read()}")
    return {"seconds": seconds, "peak_mib": usage.ru_maxrss / 1024}
