"""What a process of ``ddim-edge bench`` asks a model for."""

from pathlib import Path

import numpy as np

import ddim_edge
from ddim_edge.benchmark.worker import _request
from tests.helpers.array_bundles import CONDITION, array_model, write_array_bundle


def test_a_model_that_takes_arrays_is_given_zeros(tmp_path: Path) -> None:
    folder = write_array_bundle(tmp_path / "arrays", (6, 2), array_model((6, 2), condition=3))
    settings = {"batch": 2, "steps": 3, "height": None, "width": None, "guidance_scale": None}
    request = _request(ddim_edge.load(folder, "cpu"), settings, 0)
    assert request.conditioning is not None
    np.testing.assert_array_equal(request.conditioning.arrays[CONDITION], np.zeros((1, 3), np.float32))
