"""A float32 timestep in the place of an int64 one: the same predictions at whole timesteps, others between them."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.parser
import onnxruntime
import pytest
from onnxscript import ir

from ddim_edge.errors import ExportError
from ddim_edge_export.graph.timestep import take_real_timesteps, takes_whole_timesteps
from tests.helpers.tiny_bundles import tiny_model, tiny_prediction

FASHION = Path(__file__).parents[3] / "models" / "fashion-mnist"


def run(model: ir.Model, **feeds: Any) -> Any:
    session = onnxruntime.InferenceSession(ir.to_proto(model).SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, feeds)[0]


def test_the_bundled_network() -> None:
    others = {"class_labels": np.array([3, 10, 0])}
    sample = np.random.default_rng(0).standard_normal((3, 1, 8, 8), np.float32)
    whole = np.array([0, 499, 999])
    model = ir.load(FASHION / "unet" / "model.onnx")
    assert takes_whole_timesteps(model)
    before = run(model, sample=sample, timestep=whole, **others)
    half_before = run(model, sample=sample, timestep=whole + 1, **others)
    take_real_timesteps(model)
    assert not takes_whole_timesteps(model)
    onnx.checker.check_model(ir.to_proto(model), full_check=True)
    after = run(model, sample=sample, timestep=whole.astype(np.float32), **others)
    np.testing.assert_array_equal(after, before)
    between = run(model, sample=sample, timestep=whole.astype(np.float32) + 0.5, **others)
    np.testing.assert_allclose(between, (before + half_before) / 2, atol=0.1)
    assert all((between[row] != before[row]).any() for row in range(3))


def test_a_timestep_for_all_rows() -> None:
    model = ir.from_proto(tiny_model(scalar_timestep=True, classes=False))
    take_real_timesteps(model)
    sample = np.ones((2, 1, 8, 8), np.float32)
    (one, _) = run(model, sample=sample, timestep=np.array(499.75, np.float32))
    np.testing.assert_array_equal(one, tiny_prediction(sample[0], 499.75))


def graph(*lines: str) -> ir.Model:
    """A graph of these nodes, from the timesteps of three rows to ``out_sample``."""
    text = f"""<ir_version: 10, opset_import: ["": 18]>
        unet (float[3, 1] sample, int64[3] timestep) => (float[3, 1] out_sample)
        <int64[1] one = {{1}}, int64[3] ones = {{1, 1, 1}}> {{ {chr(10).join(lines)} }}"""
    return ir.from_proto(onnx.parser.parse_model(text))


def test_what_stands_before_the_cast_to_float32() -> None:
    """Diffusers multiplies by ones to give every row a timestep; PyTorch's older exporter adds a cast to int64."""
    model = graph(
        "rows = Shape(timestep)",
        "expanded = Expand(one, rows)",
        "each = Mul(expanded, timestep)",
        "column = Unsqueeze(each, one)",
        "again = Cast<to=7>(column)",
        "time = Cast<to=1>(again)",
        "out_sample = Add(time, sample)",
    )
    take_real_timesteps(model)
    sample, timestep = np.zeros((3, 1), np.float32), np.array([0.25, 1, 999.5], np.float32)
    np.testing.assert_array_equal(run(model, sample=sample, timestep=timestep)[:, 0], timestep)


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["out_sample = Gather(sample, timestep)"], "it is the index of a table, which has rows for whole timesteps"),
        (
            ["next = Add(timestep, one)", "time = Cast<to=1>(next)", "out_sample = Add(time, sample)"],
            "Add takes it as a whole number: export the model again",
        ),
        (
            ["half = Cast<to=10>(timestep)", "time = Cast<to=1>(half)", "out_sample = Add(time, sample)"],
            "Cast takes it as a whole number: export the model again",
        ),
    ],
)
def test_a_network_that_needs_whole_timesteps_is_left_as_it_is(lines: list[str], reason: str) -> None:
    model = graph("first = Cast<to=1>(timestep)", *lines)
    before = ir.to_proto(model).SerializeToString()
    with pytest.raises(ExportError, match=reason):
        take_real_timesteps(model)
    assert ir.to_proto(model).SerializeToString() == before
