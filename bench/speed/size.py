"""The size of a fresh environment's site-packages: the runtime alone, and torch with diffusers."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from ddim_edge.benchmark.rounds import Notify
from ddim_edge.version import package_version

from ..results import ROOT
from . import Subject

BAR = 7.0
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"
NOT_PACKAGED = shutil.ignore_patterns(".*", "bench", "build", "dist", "runs", "tests", "*.egg-info")


def measure(_: Subject, notify: Notify) -> dict[str, Any]:
    """Megabytes and packages of both environments, with the versions that are installed here."""
    pinned = {name: f"{name}=={package_version(name)}" for name in ("torch", "diffusers", "onnxruntime")}
    with tempfile.TemporaryDirectory() as name:
        # A copy, because setuptools builds inside the source tree and leaves its traces there.
        source = shutil.copytree(ROOT, Path(name) / "ddim-edge", ignore=NOT_PACKAGED)
        notify("size: installing ddim-edge[cpu]")
        ours = _fresh_environment([f"{source}[cpu]", pinned["onnxruntime"]])
    notify("size: installing torch and diffusers")
    theirs = _fresh_environment([pinned["torch"], pinned["diffusers"], "--extra-index-url", TORCH_INDEX])
    return {"bar": BAR, "ratio": round(theirs["mb"] / ours["mb"], 2), "sides": {"ours": ours, "diffusers": theirs}}


def _fresh_environment(packages: list[str]) -> dict[str, Any]:
    """Install into a venv without pip, measure it, delete it."""
    with tempfile.TemporaryDirectory() as name:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", name], check=True)
        pip = [sys.executable, "-m", "pip", "--python", str(Path(name) / "bin" / "python")]
        # Few retries: pip asks every index for every package, and goes on without one that cannot be reached.
        # In a folder of its own: from the source tree pip would see that as a package, too.
        subprocess.run([*pip, "install", "--quiet", "--retries", "1", *packages], cwd=name, check=True)
        return _size_of(next(Path(name).glob("lib/python*/site-packages")))


def _size_of(folder: Path) -> dict[str, Any]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {
        "mb": round(sum(path.stat().st_size for path in files) / 1e6, 1),
        "packages": sorted(path.name.partition("-")[0] for path in folder.glob("*.dist-info")),
    }
