"""Checks before any timing that both sides with the same weights compute the same."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from .rounds import Cell

TOLERANCES = {"fp32": 1e-3, "fp16": 5e-2}
"""The largest allowed difference by precision: its root mean square, relative to that of the output."""


def check_agreement(ours: Cell, baselines: Sequence[Cell]) -> None:
    """Compare one prediction of ``ours`` with those of ``baselines``; one that differs fails, with the reason."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "prediction.npz"
        ours.ask(predict=str(path))
        for baseline in baselines:
            if ours.is_running and baseline.is_running:
                _compare(ours, baseline, path)


def _compare(ours: Cell, baseline: Cell, path: Path) -> None:
    difference = baseline.ask(compare=str(path)).get("difference")
    if difference is None:
        return
    baseline.facts["difference"] = difference
    rounds = ours.configuration.settings.get("precision", "float32") != "float32"
    most = TOLERANCES["fp16" if rounds else baseline.facts["precision"]]
    if not difference <= most:
        baseline.fail(
            f"it computes something else: its prediction for the same input differs by {difference:.1e} of it, more "
            f"than {most:g}. Is --source what the bundle was exported from?"
        )
