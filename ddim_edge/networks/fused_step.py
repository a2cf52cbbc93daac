"""Fused step: a UNet graph that also computes guidance and the sampler's step, so that samples stay on the device.

Such a graph (``unet/unet_step.onnx``) also takes the step's coefficients and noise, and also returns the next sample
and the predicted x_0. It takes N rows of conditioning for B images: N is B, or, with guidance, 2B, the conditional rows
first.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import numpy as np

from ..arrays import Array, Sample
from ..diffusion.samplers.query import LinearStep, Stepped
from ..runtime.sessions.device_buffers import DeviceArray
from ..runtime.sessions.session import Feed, Session

COEFFICIENTS, _NOISE = "step_coefficients", "noise"
STEP_INPUTS = frozenset((COEFFICIENTS, _NOISE))
_OUTPUTS = ("next_sample", "denoised")


class DeviceRow:
    """One row, (1, …), of an array on the device; ``np.asarray`` downloads it."""

    def __init__(self, whole: DeviceArray, index: int) -> None:
        self.whole, self.index, self.shape = whole, index, (1, *whole.shape[1:])

    def __array__(self, dtype: np.dtype[Any] | None = None, copy: bool | None = None) -> Array:
        return np.array(np.asarray(self.whole)[self.index : self.index + 1], dtype, copy=copy)


class StepRow(NamedTuple):
    """One image's sample, step and guidance scale."""

    sample: Sample
    step: LinearStep
    guidance_scale: float


class FusedStep:
    """Runs the steps of rows on a session of such a graph."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def advance(self, rows: Sequence[StepRow], other_inputs: Mapping[str, Feed], padding: int) -> list[Stepped]:
        """Compute each row's step. ``padding``: the number of rows to add and ignore."""
        padded = [*rows, *[rows[-1]] * padding]
        samples = _batch_samples([row.sample for row in rows], padding)
        feeds = {
            **other_inputs,
            "sample": samples,
            **placeholder_step_inputs(samples.shape),
            COEFFICIENTS: _coefficients(padded),
        }
        if any(row.step.noise is not None for row in rows):
            feeds[_NOISE] = _noise(padded)
        outputs = self._session.run_on_device(feeds, _OUTPUTS)
        nexts, denoised = (_rows(outputs[name], len(rows)) for name in _OUTPUTS)
        return [Stepped(*pair) for pair in zip(nexts, denoised, strict=True)]


@functools.lru_cache(maxsize=16)
def placeholder_step_inputs(shape: tuple[int, ...]) -> Mapping[str, Array]:
    """Zero step inputs for samples of ``shape``, when only the prediction is needed; read-only."""
    arrays = {COEFFICIENTS: np.zeros((shape[0], 8), np.float32), _NOISE: np.zeros(shape, np.float32)}
    for array in arrays.values():
        array.setflags(write=False)
    return arrays


def _coefficients(rows: Sequence[StepRow]) -> Array:
    return np.array([(*row.step[:7], row.guidance_scale) for row in rows], np.float32)


def _noise(rows: Sequence[StepRow]) -> Array:
    nothing = np.zeros(rows[0].sample.shape, np.float32)
    return np.concatenate([nothing if row.step.noise is None else row.step.noise for row in rows])


def _batch_samples(samples: Sequence[Sample], padding: int) -> Feed:
    """The samples as one padded array: the device's own array, if they are its first rows, in order."""
    rows = [sample for sample in cast(Sequence[object], samples) if isinstance(sample, DeviceRow)]
    if len(rows) == len(samples):
        whole = rows[0].whole
        in_order = all(row.whole is whole and row.index == at for at, row in enumerate(rows))
        if in_order and len(whole) == len(rows) + padding:
            return whole
    arrays = [np.asarray(sample) for sample in samples]
    return np.concatenate([*arrays, *[arrays[-1]] * padding])


def _rows(output: Feed, count: int) -> list[Sample]:
    if isinstance(output, DeviceArray):
        return cast(list[Sample], [DeviceRow(output, index) for index in range(count)])
    return [output[index : index + 1] for index in range(count)]
