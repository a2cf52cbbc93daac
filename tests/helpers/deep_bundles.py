"""Tiny bundles with a shallow graph: small enough to be computed by hand, and features that differ from step to step.

The whole network computes ``features = [tanh(0.7*x_t + e), e - 0.3*x_t]`` with ``e = EMBEDDINGS[class]``; it and the
shallow graph compute ``0.5*x_t + 0.001*t + 0.4*features[0] + 0.2*features[1]``.
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.parser

from ddim_edge.bundle.layout import SHALLOW_MODEL

from .tiny_bundles import EMBEDDINGS, Array, write_bundle

_FEATURES = (
    "embedded = Gather(table, class_labels)",
    "e = Reshape(embedded, column)",
    "inner = Mul(x, slope)",
    "pushed = Add(inner, e)",
    "first = Tanh(pushed)",
    "lowered = Mul(x, fall)",
    "second = Sub(e, lowered)",
    "deep = Concat<axis=1>(first, second)",
)
_OUTPUT = (
    "time = Cast<to=1>(timestep)",
    "late = Mul(time, thousandth)",
    "drift = Reshape(late, column)",
    "both = Mul(deep, shares)",
    "part = ReduceSum<keepdims=1>(both, channel)",
    "half = Mul(x, gain)",
    "moved = Add(half, drift)",
    "total = Add(moved, part)",
)


def deep_features(sample: Array, label: int) -> Array:
    """What the whole network keeps of one row, float32 (1, 2, H, W)."""
    e = np.float32(EMBEDDINGS[label])
    return np.concatenate([np.tanh(np.float32(0.7) * sample + e), e - np.float32(0.3) * sample], axis=1)


def shallow_prediction(sample: Array, timestep: float, features: Array) -> Array:
    """What both networks predict of a row with these features."""
    shares = np.array([0.4, 0.2], np.float32).reshape(1, 2, 1, 1)
    part = (features * shares).sum(axis=1, keepdims=True)
    prediction: Array = np.float32(0.5) * sample + np.float32(0.001) * np.float32(timestep) + part
    return prediction


def deep_model(*, shallow: bool, channels: str = "1", size: int = 8, batch: int | str = "batch", **options: Any) -> Any:
    """The whole network's graph, or the shallow one.

    ``half``: in fp16. ``scalar_timestep``: one for all rows. ``float_timestep``: it may be a fraction.
    """
    element, to = ("float16", 10) if options.get("half") else ("float", 1)
    shape = f"{element}[{batch}, {channels}, {size}, {size}]"
    kept = f"{element}[{batch}, 2, {size}, {size}] deep_features"
    number = "float" if options.get("float_timestep") else "int64"
    time = f"{number} timestep" if options.get("scalar_timestep") else f"{number}[{batch}] timestep"
    inputs = [f"{shape} sample", time, *([kept] if shallow else [f"int64[{batch}] class_labels"])]
    lines = ["x = Cast<to=1>(sample)"]
    lines += ["deep = Cast<to=1>(deep_features)"] if shallow else _FEATURES
    lines += [*_OUTPUT, f"out_sample = Cast<to={to}>(total)"]
    lines += [] if shallow else [f"deep_features = Cast<to={to}>(deep)"]
    outputs = [f"{shape} out_sample", *([] if shallow else [kept])]
    return onnx.parser.parse_model(
        f"""<ir_version: 10, opset_import: ["" : 18]>
        unet ({", ".join(inputs)}) => ({", ".join(outputs)})
        <float gain = {{0.5}}, float thousandth = {{0.001}}, float slope = {{0.7}}, float fall = {{0.3}},
         int64[4] column = {{-1, 1, 1, 1}}, int64[1] channel = {{1}}, float[1, 2, 1, 1] shares = {{0.4, 0.2}},
         float[4] table = {{{", ".join(map(str, EMBEDDINGS))}}}>
        {{ {chr(10).join(lines)} }}"""
    )


def write_deep_bundle(folder: Path, *, scheduler: dict[str, Any] | None = None, **options: Any) -> Path:
    """Write a bundle that has the shallow graph; ``options`` are those of ``deep_model``. Returns ``folder``."""
    write_bundle(folder, deep_model(shallow=False, **options), scheduler=scheduler)
    onnx.save_model(deep_model(shallow=True, **options), folder / "unet" / SHALLOW_MODEL)
    return folder
