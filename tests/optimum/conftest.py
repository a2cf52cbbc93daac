"""The interpreter that has optimum, and what it has made. ``make test-optimum`` makes its environment.

optimum needs other versions than the other tests have. ``DDIM_EDGE_OPTIMUM_PYTHON`` names its interpreter; without that
variable there is nothing to compare with.
"""

import os
import subprocess
from pathlib import Path

import pytest

PYTHON = os.environ.get("DDIM_EDGE_OPTIMUM_PYTHON")
needs_optimum = pytest.mark.skipif(not PYTHON, reason="DDIM_EDGE_OPTIMUM_PYTHON names no interpreter")


def run_in_optimums_environment(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    """Run that interpreter."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [str(PYTHON), *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", check=False)


@pytest.fixture(scope="session")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where optimum's interpreter has written its bundles and results. Leave it as it is."""
    folder = tmp_path_factory.mktemp("optimum")
    done = run_in_optimums_environment(Path(__file__).with_name("oracle.py"), folder)
    assert done.returncode == 0, done.stderr[-4000:]
    return folder
