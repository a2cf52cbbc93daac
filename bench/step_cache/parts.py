"""What was made so far: a file for each round of each cell, so that a run that is cut short loses one round of one."""

from pathlib import Path

import numpy as np

from ddim_edge.files import atomic_write

from .models import Part


def has_part(folder: Path, number: int) -> bool:
    """Whether round ``number`` is there."""
    return _file(folder, number).exists()


def write_part(folder: Path, number: int, part: Part) -> None:
    """Keep round ``number``."""
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(_file(folder, number)) as file:
        np.savez_compressed(file, allow_pickle=False, **part)


def read_parts(folder: Path, rounds: int) -> Part:
    """The first ``rounds`` rounds, joined."""
    parts = [dict(np.load(_file(folder, number))) for number in range(rounds)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _file(folder: Path, number: int) -> Path:
    return folder / f"{number}.npz"
