"""From the runs to one record: medians, agreement, sizes."""

import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from . import installed, wanted
from .measure import Record, files_of
from .runs import Run, weights_of
from .sides import ALL_SIDES, CACHED_SIDES, REFERENCE, SIDES
from .workloads import WORKLOADS

_MEDIANS = ("seconds", "first_step_after", "after_steps")
_PEAKS = ("private_mib", "mapped_mib")


def summarize(work: Path) -> Record:
    """Everything that was measured, by side, but the sides with a step cache."""
    found = _measured(SIDES, work)
    return {"sides": found, "wanted": wanted.verdicts(found)}


def summarize_caches(work: Path) -> Record:
    """The sides with a step cache and those without; ``plain`` has the name of the one without for each with one."""
    found = _measured(ALL_SIDES, work)
    caches = {name: side.plain for name, side in CACHED_SIDES.items() if {name, side.plain} <= found.keys()}
    needed = {*caches, *caches.values()}
    sides = {name: side for name, side in found.items() if name in needed}
    return {"sides": sides, "plain": caches, "wanted": wanted.verdicts(sides, wanted.WANTED_OF_CACHES)}


def _measured(names: Iterable[str], work: Path) -> Record:
    sides = {name: _side(name, work) for name in names}
    return {name: side for name, side in sides.items() if side["runs"] or "reason" in side}


def _side(name: str, work: Path) -> Record:
    records = {workload: _records(name, workload, work) for workload in WORKLOADS}
    reasons = [record["reason"] for taken in records.values() for record in taken if "reason" in record]
    good = {workload: [record for record in taken if "reason" not in record] for workload, taken in records.items()}
    runs = {workload: _medians(taken) for workload, taken in good.items() if taken}
    for workload, run in runs.items():
        run |= _agreement(name, workload, work)
    sizes = {"weights_mb": _weights_mb(name, work), **installed.size(ALL_SIDES[name], work)} if runs else {}
    return {"title": ALL_SIDES[name].title, "runs": runs, **sizes, **({"reason": reasons[-1]} if reasons else {})}


def _records(side: str, workload: str, work: Path) -> list[Record]:
    folder = Run(side, workload, 0).folder(work).parent
    rounds = sorted(int(path.name) for path in folder.iterdir()) if folder.is_dir() else []
    found = (Run(side, workload, number).record(work) for number in rounds)
    return [record for record in found if record is not None]


def _medians(taken: list[Record]) -> Record:
    """Of all rounds. The first step of a run of several is left out of its seconds a step: it warms up."""
    steps = [second for record in taken for second in record["step_seconds"][1:] or record["step_seconds"]]
    return {
        "rounds": len(taken),
        "step_seconds": round(statistics.median(steps), 3),
        "all_steps": round(statistics.median(sum(record["step_seconds"]) for record in taken), 2),
        **{name: round(statistics.median(record[name] for record in taken), 2) for name in _MEDIANS},
        **{name: max(record[name] for record in taken) for name in _PEAKS},
    }


def _agreement(name: str, workload: str, work: Path) -> Record:
    """How far the final latents are from the reference's: root mean square and maximum, in its root mean square."""
    ours, theirs = (_latents(side, workload, work) for side in (name, REFERENCE))
    if name == REFERENCE or ours is None or theirs is None or ours.shape != theirs.shape:
        return {}
    scale, apart = np.sqrt(np.mean(theirs**2)), ours - theirs
    return {"rms": float(np.sqrt(np.mean(apart**2)) / scale), "largest": float(np.abs(apart).max() / scale)}


def _latents(side: str, workload: str, work: Path) -> Any:
    path = Run(side, workload, 0).folder(work) / "latents.npy"
    return np.load(path).astype(np.float64) if path.exists() else None


def _weights_mb(name: str, work: Path) -> int:
    """Of Stable Diffusion's files, with ddim-edge's builds."""
    return round(_bytes(weights_of(ALL_SIDES[name], "sd-1", work)) / 1e6)


def _bytes(paths: Iterable[Path]) -> int:
    """A file with several names counts once."""
    return sum({file.stat().st_ino: file.stat().st_size for file in files_of(paths)}.values())
