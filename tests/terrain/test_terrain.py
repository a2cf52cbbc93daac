"""A published network, adopted, makes what its own package makes. ``make test-adopt`` makes its environment.

Without ``DDIM_EDGE_TERRAIN_PYTHON``, which names its interpreter, there is nothing to compare with.
"""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ddim_edge
from tests.helpers.command_line import Invoke
from tests.helpers.tiny_bundles import write_json

PYTHON = os.environ.get("DDIM_EDGE_TERRAIN_PYTHON")
pytestmark = pytest.mark.skipif(not PYTHON, reason="DDIM_EDGE_TERRAIN_PYTHON names no interpreter")
SCHEDULER = {"_class_name": "CMStochasticIterativeScheduler", "num_inference_steps": 1}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    """What the package generated, and from what."""
    out = tmp_path_factory.mktemp("terrain") / "made.npz"
    command = [str(PYTHON), str(Path(__file__).with_name("oracle.py")), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]
    return dict(np.load(out))


@pytest.fixture
def bundle(made: Mapping[str, Any], invoke: Invoke, tmp_path: Path) -> Path:
    """The adopted bundle."""
    write_json(tmp_path / "scheduler.json", SCHEDULER)
    write_json(tmp_path / "output.json", {"kind": "array", "axes": ["channel", "y", "x"]})
    outcome = invoke(
        *("adopt", made["graph"], "terrain", "--scheduler", "scheduler.json", "--output-config", "output.json"),
        *("--map", "sample=noisy", "--map", "timestep=sigma", "--output", "denoised"),
        *("--timestep", "sigma", "--preconditioning", "inside", "--json"),
    )
    assert outcome.code == 0, outcome.err
    facts = json.loads(outcome.out)
    assert (facts["sample_shape"], facts["sampler"]) == ([1, 128, 128], "consistency")
    assert set(facts["conditioning"]) == {"difficulty"}
    return tmp_path / "terrain"


def test_one_step_is_the_packages_own(made: Mapping[str, Any], bundle: Path) -> None:
    pipeline = ddim_edge.load(bundle, provider="cpu")
    result = pipeline.generate(
        num_images=3,
        num_steps=1,
        origin=ddim_edge.Origin(latents=made["noise"]),
        conditioning={"difficulty": made["difficulty"]},
    )
    np.testing.assert_array_equal(result.samples, made["denoised"])
    np.testing.assert_allclose(heights_of(result.samples), made["heights"], atol=1e-6)


def heights_of(samples: Any) -> Any:
    """Heights in metres, as the package computes them from the network's output."""
    highest = 22.16864013671875
    unit = np.clip((samples[:, 0] + 1) / 2, 0, 1)
    return np.clip(0.1 * np.sinh(unit * np.arcsinh(highest / 0.1)), 0, highest)
