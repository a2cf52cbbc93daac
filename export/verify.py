"""Does ONNX Runtime compute what PyTorch computes? Random inputs through both."""

from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from ddim_edge.errors import ExportError

from .module import first_line, predict
from .signature import Arrays, Signature

TOLERANCE = 1e-4
"""The largest absolute error allowed, in standard deviations of PyTorch's output."""

_BATCHES = (1, 3, 5)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One comparison: the shape that was run, and max|ONNX Runtime - PyTorch| / std(PyTorch)."""

    batch: int
    height: int
    width: int
    error: float


def verify(module: torch.nn.Module, path: Path, signature: Signature) -> tuple[Case, ...]:
    """Compare at three batch sizes and two image sizes. ExportError where any case is beyond the tolerance."""
    session = _open(path)
    cases = tuple(
        _compare(module, session, signature.draw(batch, size, seed))
        for seed, (size, batch) in enumerate(product(signature.sizes, _BATCHES), start=1)
    )
    worst = max(cases, key=lambda case: case.error)
    if not worst.error <= TOLERANCE:
        raise ExportError(
            f"the exported graph is not the network: at batch {worst.batch}, {worst.height}x{worst.width} pixels it is "
            f"off by {worst.error:.2g} standard deviations of the output, where {TOLERANCE:g} is allowed; nothing was "
            "written"
        )
    return cases


def _open(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors share no other base
        raise ExportError(f"ONNX Runtime does not load the exported graph: {first_line(error)}") from error


def _compare(module: torch.nn.Module, session: onnxruntime.InferenceSession, inputs: Arrays) -> Case:
    expected = predict(module, inputs)
    batch, _, height, width = inputs["sample"].shape
    try:
        (got,) = session.run(["out_sample"], inputs)
    except Exception as error:  # likewise
        raise ExportError(
            f"ONNX Runtime cannot run the exported graph at batch {batch}, {height}x{width}: {first_line(error)}"
        ) from error
    if got.shape != expected.shape:
        raise ExportError(f"the exported graph returns {got.shape} where the network returns {expected.shape}")
    scale = max(float(expected.std()), float(np.finfo(np.float32).tiny))
    error_in_stds = float(np.abs(got - expected).max()) / scale
    return Case(batch=batch, height=height, width=width, error=error_in_stds)
