"""Checks fp16 outputs for overflow: values above 65,504 become infinity, then NaN, and the image black."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ...bundle.layout import FP32_MODEL, SHALLOW_MODEL
from ...errors import PredictionError


class PrecisionWarning(UserWarning):
    """A network in fp16 failed, and its fp32 form is used from now on."""


def fp32_fallback_of(graph: Path) -> Path | None:
    """The graph's fp32 form, ``model.fp32.onnx`` beside ``model.onnx``; None where the bundle has none.

    It is that of the whole network, and none for the UNet's shallow graph.
    """
    if graph.name == SHALLOW_MODEL:
        return None
    fallback = graph.with_name(FP32_MODEL)
    return fallback if fallback.is_file() else None


def fp16_fault_of(outputs: Mapping[str, object], *, first: bool) -> str | None:
    """What is wrong with a network's fp16 outputs, as text; None where nothing is. Those on the device are left out.

    One value everywhere is wrong at the ``first`` call only: later it can be the right output.
    """
    arrays = [array for array in outputs.values() if isinstance(array, np.ndarray) and array.dtype.kind == "f"]
    if any(not np.isfinite(array).all() for array in arrays):
        return "NaN or infinity"
    if first and any(array.size > 1 and (array == array.flat[0]).all() for array in arrays):
        return "one value everywhere"
    return None


def no_fp32_fallback(name: str, fault: str) -> PredictionError:
    """The error for a bundle without the fp32 form."""
    return PredictionError(
        f"{name} returned {fault} in fp16: export the model again with --dtype fp16 --keep-fp32 {name}, "
        f"or with --fp32-too {name} to have both at hand"
    )
