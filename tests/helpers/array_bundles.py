"""Bundles whose samples may have any shape: their network is ``0.5*x_t + 0.001*t + mean(condition)``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.parser

from .tiny_bundles import Array, write_bundle, write_json

CONDITION = "global_cond"


def array_model(shape: Sequence[int | str], *, condition: int = 0, batch: int | str = "batch") -> onnx.ModelProto:
    """The graph for samples of ``shape``, with a name for each free axis.

    ``condition``: the width of the input ``global_cond``, 0 for none.
    """
    sample = f"float[{', '.join(map(str, (batch, *shape)))}]"
    inputs = [f"{sample} sample", f"float[{batch}] timestep"]
    lines, last = ["drift = Mul(timestep, slope)"], "drift"
    if condition:
        inputs.append(f"float[{batch}, {condition}] {CONDITION}")
        lines += [f"told = ReduceMean<keepdims = 0>({CONDITION}, last)", "shift = Add(drift, told)"]
        last = "shift"
    column = ", ".join(map(str, (-1, *[1] * len(shape))))
    lines += [f"term = Reshape({last}, column)", "scaled = Mul(sample, gain)", "out_sample = Add(scaled, term)"]
    return onnx.parser.parse_model(
        f"""<ir_version: 10, opset_import: ["" : 18]>
        unet ({", ".join(inputs)}) => ({sample} out_sample)
        <float gain = {{0.5}}, float slope = {{0.001}}, int64[1] last = {{1}},
         int64[{len(shape) + 1}] column = {{{column}}}>
        {{ {chr(10).join(lines)} }}"""
    )


def array_prediction(sample: Array, timestep: float, condition: Array | None = None) -> Array:
    """What the network returns for one row, in the same order of float32 operations."""
    term = np.float32(timestep) * np.float32(0.001)
    if condition is not None:
        term += condition.mean(dtype=np.float32)
    return sample * np.float32(0.5) + term


def write_array_bundle(
    folder: Path,
    shape: Sequence[int],
    model: onnx.ModelProto | None = None,
    *,
    output: dict[str, Any] | None = None,
    scheduler: dict[str, Any] | None = None,
) -> Path:
    """Write a bundle without classes that says its ``sample_shape``; ``output`` is its output.json. Returns it."""
    write_bundle(folder, model or array_model(shape), labels=None, scheduler=scheduler)
    write_json(folder / "unet" / "config.json", {"sample_shape": list(shape)})
    if output is not None:
        write_json(folder / "output.json", output)
    return folder
