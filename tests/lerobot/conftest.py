"""Where LeRobot is, and what it has made. ``make test-lerobot`` installs it into a folder of its own.

LeRobot cannot be installed beside the other tests' PyTorch. ``DDIM_EDGE_LEROBOT`` names a folder with its package,
which ``oracle.py`` imports there; without that variable there is nothing to compare with.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
FOLDER = os.environ.get("DDIM_EDGE_LEROBOT")
needs_lerobot = pytest.mark.skipif(not FOLDER, reason="DDIM_EDGE_LEROBOT names no folder")


def run_lerobot(module: str, *arguments: Path) -> None:
    """Run a module that imports LeRobot, in a process of its own."""
    command = [sys.executable, "-m", module, str(FOLDER), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False, timeout=280, cwd=_ROOT)
    assert done.returncode == 0, done.stderr[-4000:]


@pytest.fixture(scope="session")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where LeRobot has saved its policies, and what they did. Leave it as it is."""
    folder = tmp_path_factory.mktemp("lerobot")
    run_lerobot("tests.lerobot.oracle", folder)
    return folder
