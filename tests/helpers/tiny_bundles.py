"""Bundles small enough to be computed by hand: their network is ``0.5*x_t + 0.001*t + EMBEDDINGS[class]``."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.parser
from numpy.typing import NDArray
from onnx import numpy_helper

Array = NDArray[np.float32]

EMBEDDINGS = (-0.4, 0.0, 0.3, 0.1)
"""What each class adds to the prediction; the last one is the null class."""
LABELS = ("cat", "dog", "Ångström")
NULL_CLASS = 3

_FLOAT16 = 10


def tiny_prediction(sample: Array, timestep: float, label: int | None = None) -> Array:
    """What the tiny network returns for one row, in the same order of float32 operations."""
    term = np.float32(timestep) * np.float32(0.001)
    if label is not None:
        term += np.float32(EMBEDDINGS[label])
    return sample * np.float32(0.5) + term


def tiny_model(
    *,
    channels: int = 1,
    size: int = 8,
    classes: bool = True,
    scalar_timestep: bool = False,
    real_timestep: bool = False,
    batch: int | str = "batch",
    half: bool = False,
    nan_at: tuple[int, int] | None = None,
    variance: bool = False,
) -> onnx.ModelProto:
    """The graph. ``nan_at`` = (timestep, class) turns the prediction of such a row into NaN.

    ``variance``: it returns twice the channels, the prediction minus x_t behind the prediction.
    """
    element = "float16" if half else "float"
    shape = f"{element}[{batch}, {channels}, {size}, {size}]"
    number = "float" if real_timestep else "int64"
    inputs = [f"{shape} sample", f"{number} timestep" if scalar_timestep else f"{number}[{batch}] timestep"]
    lines = ["time = Cast<to=1>(timestep)", "drift = Mul(time, slope)"]
    if classes:
        inputs.append(f"int64[{batch}] class_labels")
        lines += ["embedded = Gather(table, class_labels)", "shift = Add(drift, embedded)"]
    lines += _poison(*nan_at) if nan_at else []
    last = "poisoned" if nan_at else "shift" if classes else "drift"
    lines += [f"term = Reshape({last}, column)", "x = Cast<to=1>(sample)", "scaled = Mul(x, gain)"]
    lines += ["total = Add(scaled, term)"]
    lines += ["spread = Sub(total, x)", "both = Concat<axis=1>(total, spread)"] if variance else []
    lines += [f"out_sample = Cast<to={_FLOAT16 if half else 1}>({'both' if variance else 'total'})"]
    return onnx.parser.parse_model(
        f"""<ir_version: 10, opset_import: ["" : 18]>
        unet ({", ".join(inputs)}) => ({element}[{batch}, {channels * (1 + variance)}, {size}, {size}] out_sample)
        <float gain = {{0.5}}, float slope = {{0.001}}, int64[4] column = {{-1, 1, 1, 1}},
         float[4] table = {{{", ".join(map(str, EMBEDDINGS))}}}>
        {{ {chr(10).join(lines)} }}"""
    )


def _poison(timestep: int, label: int) -> list[str]:
    return [
        f"bad_time = Constant<value_int = {timestep}>()",
        f"bad_class = Constant<value_int = {label}>()",
        "at_time = Equal(timestep, bad_time)",
        "at_class = Equal(class_labels, bad_class)",
        "here = And(at_time, at_class)",
        "zero = Constant<value_float = 0.0>()",
        "nothing = Div(zero, zero)",
        "poisoned = Where(here, nothing, shift)",
    ]


def write_bundle(
    folder: Path,
    model: onnx.ModelProto | None = None,
    *,
    labels: Sequence[str] | None = LABELS,
    null_class: int | None = NULL_CLASS,
    sample_size: int = 8,
    channels: int = 1,
    scheduler: dict[str, Any] | None = None,
    external: bool = False,
    out_channels: int | None = None,
) -> Path:
    """Write a bundle; ``external`` keeps the weights in ``unet/model.onnx_data``. Returns ``folder``."""
    for part in ("unet", "scheduler"):
        (folder / part).mkdir(parents=True)
    index: dict[str, Any] = {"_class_name": "DDIMPipeline"}
    if labels is not None:
        index["id2label"] = {str(number): name for number, name in enumerate(labels)}
    if labels is not None and null_class is not None:
        index["null_class"] = null_class
    write_json(folder / "model_index.json", index)
    predicted = {} if out_channels is None else {"out_channels": out_channels}
    write_json(folder / "unet" / "config.json", {"in_channels": channels, "sample_size": sample_size, **predicted})
    write_json(folder / "scheduler" / "scheduler_config.json", scheduler or {"_class_name": "DDIMScheduler"})
    graph = folder / "unet" / "model.onnx"
    storage: dict[str, Any] = {"location": "model.onnx_data", "size_threshold": 0} if external else {}
    onnx.save_model(_raw(model or tiny_model()), graph, save_as_external_data=external, **storage)
    return folder


def _raw(model: onnx.ModelProto) -> onnx.ModelProto:
    """Only weights kept as raw bytes are stored outside. The shape stays inside, where ONNX Runtime wants it."""
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor), tensor.name))
    return model


def write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")
