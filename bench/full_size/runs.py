"""The runs: one folder each, kept in the work folder, so that an interrupted command continues."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ddim_edge.diffusion.noise import noise_stream
from ddim_edge.files import write_file
from ddim_edge.user_cache import CACHE_VARIABLE

from .measure import Record, RunFailedError, measure, read_files, worker_command
from .sides import ALL_SIDES, Side
from .workers.noted import NOISE
from .workloads import PROMPT, SEED, WORKLOADS

_LONGEST_S = 1200.0
_SAMPLE = (1, 4, 64, 64)
_OFF = {
    "ORT_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "DO_NOT_TRACK": "1",
}
_NATIVE = {"CMAKE_ARGS": "-DGGML_NATIVE=ON"}
"""How stable-diffusion.cpp is compiled."""
_OPENVINO_CONSENT = Path("intel", "openvino_telemetry")


class Run(NamedTuple):
    """One process: a side, a workload, the number of the round."""

    side: str
    workload: str
    round: int

    def folder(self, work: Path) -> Path:
        return work / "runs" / self.workload / self.side / str(self.round)

    def record(self, work: Path) -> Record | None:
        """What was measured, or ``{"reason": …}``; None where the run is still to be made."""
        path = self.folder(work) / "run.json"
        return dict(json.loads(path.read_text())) if path.exists() else None

    def is_made(self, work: Path) -> bool:
        """Whether it was measured; a run that failed is tried again."""
        return "reason" not in (self.record(work) or {"reason": ""})


def needs_of(run: Run) -> tuple[str, ...]:
    """The things that a run needs."""
    return ALL_SIDES[run.side].needs[WORKLOADS[run.workload].model]


def seconds_of(run: Run) -> float:
    """About how long a run takes: the steps, and as much again as two of them."""
    workload, step = WORKLOADS[run.workload], ALL_SIDES[run.side].step_seconds
    share = 0.1 if workload.model == "pixels" else 1 if workload.guidance > 1 else 0.5
    return step * share * workload.steps + 2 * step


def environment(work: Path) -> dict[str, str]:
    """The environment of everything that the bench starts: telemetry off, and a home folder below ``work``.

    A thread limit for torch would not hold for ONNX Runtime: all sides choose their threads by themselves.
    """
    home = work / "home"
    consent = home / _OPENVINO_CONSENT
    consent.parent.mkdir(parents=True, exist_ok=True)
    consent.write_text("0")
    kept = {name: value for name, value in os.environ.items() if name not in ("OMP_NUM_THREADS", "PYTHONPATH")}
    own = {
        "HOME": str(home),
        "XDG_CONFIG_HOME": os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config"),  # pip's settings
        "TORCHINDUCTOR_CACHE_DIR": str(work / "cache" / "inductor"),
    }
    return {**kept, **_OFF, **_NATIVE, **own}


def carry_out(run: Run, work: Path) -> Record:
    """Make a run and keep its record. A side that fails has the reason in its place."""
    side, folder = ALL_SIDES[run.side], run.folder(work)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    np.save(folder / NOISE, noise_stream(SEED)(_SAMPLE))
    read_files(weights_of(side, run.workload, work))
    command = worker_command(interpreter_of(side, work), side.worker, settings_of(run, work))
    try:
        record = measure(command, _environment_of(side, work), folder, _LONGEST_S)
    except RunFailedError as error:
        record = {"reason": str(error)}
    keep(run, work, record)
    return record


def keep(run: Run, work: Path, record: Mapping[str, object]) -> None:
    """Write the record of a run."""
    run.folder(work).mkdir(parents=True, exist_ok=True)
    write_file(run.folder(work) / "run.json", json.dumps(record).encode())


def settings_of(run: Run, work: Path) -> Record:
    """The argument of the worker's process."""
    side, workload = ALL_SIDES[run.side], WORKLOADS[run.workload]
    return {
        "folder": str(work / side.folders[workload.model]),
        "out": str(run.folder(work)),
        "prompt": PROMPT if workload.model == "sd" else None,
        "seed": SEED,
        "steps": workload.steps,
        "guidance": workload.guidance,
        "sampler": workload.sampler,
        **side.options,
    }


def weights_of(side: Side, workload: str, work: Path) -> list[Path]:
    """The folders and files that a side reads."""
    if side.weights:
        return [work / side.weights]
    return [work / side.folders[WORKLOADS[workload].model], *([work / side.cache] if side.cache else [])]


def interpreter_of(side: Side, work: Path) -> str | None:
    return str(work / "envs" / side.environment / "bin" / "python") if side.environment else None


def _environment_of(side: Side, work: Path) -> dict[str, str]:
    own = {CACHE_VARIABLE: str(work / side.cache)} if side.cache else {}
    return {**environment(work), **own}
