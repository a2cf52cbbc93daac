"""(d) How much a fresh environment's site-packages weighs: the runtime alone, and torch with diffusers."""

import importlib.metadata
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from ..results import ROOT
from .processes import Notify, Subject

BAR = 7.0
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"


def measure(_: Subject, notify: Notify) -> dict[str, Any]:
    """Bytes and packages of both environments, with the versions that are installed here."""
    pinned = {name: f"{name}=={importlib.metadata.version(name)}" for name in ("torch", "diffusers", "onnxruntime")}
    wanted = {
        "ours": [f"{ROOT}[cpu]", pinned["onnxruntime"]],
        "diffusers": [pinned["torch"], pinned["diffusers"], "--extra-index-url", TORCH_INDEX],
    }
    sides = {}
    for side, packages in wanted.items():
        notify(f"size: installing {side}")
        sides[side] = _fresh_environment(packages)
    ratio = sides["diffusers"]["mb"] / sides["ours"]["mb"]
    return {"bar": BAR, "ratio": round(ratio, 2), "sides": sides}


def _fresh_environment(packages: list[str]) -> dict[str, Any]:
    """A venv without pip, so that only what was asked for is weighed; deleted afterwards."""
    with tempfile.TemporaryDirectory() as name:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", name], check=True)
        python = Path(name) / "bin" / "python"
        pip = [sys.executable, "-m", "pip", "--python", str(python)]
        # Few retries: pip asks every index for every package, and goes on without one that cannot be reached.
        subprocess.run([*pip, "install", "--quiet", "--retries", "1", *packages], check=True)
        site_packages = next(Path(name).glob("lib/python*/site-packages"))
        return _weigh(site_packages)


def _weigh(folder: Path) -> dict[str, Any]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {
        "mb": round(sum(path.stat().st_size for path in files) / 1e6, 1),
        "packages": sorted(path.name.partition("-")[0] for path in folder.glob("*.dist-info")),
    }
