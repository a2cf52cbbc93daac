"""Compares unet_step.onnx with model.onnx followed by guidance and ``DdimSchedule`` in NumPy. Needs no PyTorch."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from ddim_edge.diffusion.guidance import guide
from ddim_edge.diffusion.samplers import DdimConfig, DdimSchedule
from ddim_edge.errors import ExportError

from ..graph.fused_step import COLUMNS, NEW_OUTPUTS
from .graph_runs import Arrays, declared_inputs, draw_inputs, open_graph, run_graph, sides_of

_TOLERANCES = {"tensor(float)": 1e-5, "tensor(float16)": 1e-2}
"""By the prediction's type. In fp16, ONNX Runtime's CPU omits roundings, and not the same ones in both graphs."""

_CLIPPED = DdimSchedule(DdimConfig(eta=1.0), 10)
_FREE = DdimSchedule(DdimConfig(prediction_type="angular_velocity", clip_denoised_sample=False), 10)
_ROWS = ((_CLIPPED, 3, 3.0), (_FREE, 7, 0.5))
"""Schedule, step and guidance scale; images take them in turn."""


class StepCheck(NamedTuple):
    """The error of a fused step, and the tolerance."""

    error: float
    tolerance: float

    def to_json(self) -> dict[str, Any]:
        """The entry in export.json."""
        return {"measure": "max |onnxruntime - numpy| / max |numpy|", **self._asdict()}


@dataclass(frozen=True)
class _Case:
    """Inputs of the fused graph, and the plain graph's prediction for the same."""

    feeds: Arrays
    prediction: NDArray[Any]

    def expected(self, prediction: NDArray[np.float32]) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Next sample and x_0 of every image, computed with NumPy."""
        sample, noise, coefficients = (self.feeds[name] for name in ("sample", "noise", "step_coefficients"))
        count = len(sample)
        guided = guide(prediction[:count], prediction[-count:], coefficients[:, -1])
        for image in range(count):
            schedule, step, _ = _ROWS[image % len(_ROWS)]
            yield schedule.step(step, sample[image], guided[image], noise[image])


def verify_step(plain: Path, fused: Path) -> StepCheck:
    """Run both graphs on random inputs with and without guidance; compare the predictions, and the step with NumPy's.

    ExportError where an error, relative to the largest value, is above the tolerance.
    """
    with open_graph(plain) as session:
        cases = [_case(session, plain.parent, *counts) for counts in _counts(session)]
        tolerance = _TOLERANCES[session.get_outputs()[0].type]
    with open_graph(fused) as session:
        return StepCheck(max(_compare(session, case, tolerance) for case in cases), tolerance)


def _counts(session: onnxruntime.InferenceSession) -> list[tuple[int, int]]:
    """Numbers of images and rows: without guidance, and with it if the batch allows."""
    batch = declared_inputs(session)["sample"].shape[0]
    if not isinstance(batch, int):
        return [(2, 2), (2, 4)]
    return [(batch, batch)] if batch % 2 else [(batch, batch), (batch // 2, batch)]


def _case(session: onnxruntime.InferenceSession, folder: Path, images: int, rows: int) -> _Case:
    random = np.random.default_rng(rows)
    feeds = draw_inputs(random, session, rows, sides_of(folder)[1])
    plan = [_ROWS[image % len(_ROWS)] for image in range(images)]
    timesteps = [schedule.timesteps[step] for schedule, step, _ in plan]
    feeds["timestep"] = np.array(timesteps * (rows // images), feeds["timestep"].dtype)
    sample, noise = random.standard_normal((2, images, *feeds["sample"].shape[1:]), np.float32)
    tiled = np.tile(sample, (rows // images, 1, 1, 1)).astype(feeds["sample"].dtype)
    (prediction,) = run_graph(session, {**feeds, "sample": tiled}, [session.get_outputs()[0].name])
    coefficients = np.array([_coefficients(*entry) for entry in plan], np.float32)
    return _Case({**feeds, "sample": sample, "noise": noise, "step_coefficients": coefficients}, prediction)


def _coefficients(schedule: DdimSchedule, step: int, scale: float) -> list[float]:
    config = schedule.config
    limit = config.clip_range if config.clip_denoised_sample else np.inf
    row = schedule.rows[step]._asdict() | {"limit": limit, "guidance_scale": scale}
    return [row[column] for column in COLUMNS]


def _compare(session: onnxruntime.InferenceSession, case: _Case, tolerance: float) -> float:
    prediction, *got = run_graph(session, case.feeds, [session.get_outputs()[0].name, *NEW_OUTPUTS])
    _check("prediction", prediction, case.prediction, tolerance)
    wanted = zip(*case.expected(prediction.astype(np.float32)), strict=True)
    named = zip(NEW_OUTPUTS, got, wanted, strict=True)
    return max(_check(name, have, np.stack(want), tolerance) for name, have, want in named)


def _check(name: str, got: NDArray[Any], expected: NDArray[Any], tolerance: float) -> float:
    """The error relative to the largest value. ExportError where it is above the tolerance."""
    if got.shape != expected.shape:
        raise ExportError(f"the fused step's {name} has the shape {got.shape}, where {expected.shape} is expected")
    wide = expected.astype(np.float32)
    error = float(np.abs(got - wide).max() / max(np.abs(wide).max(), np.finfo(np.float32).tiny))
    if not error <= tolerance:
        raise ExportError(
            f"the fused step is wrong: its {name} differs by {error:.2g} of its largest value, where {tolerance:g} is "
            "allowed; it was not written"
        )
    return error
