"""Denoiser: runs the UNet on many rows in one call, with guidance."""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ..arrays import Array, Conditioning, Sample
from ..diffusion.guidance import guide, rescale
from ..diffusion.samplers.query import LinearStep, Stepped
from ..errors import BundleError, listed
from ..runtime.sessions.session import Session
from .conditioning_cache import ConditioningCache
from .controlnet import RESIDUALS, ControlNets
from .fused_step import STEP_INPUTS, FusedStep, StepRow, placeholder_step_inputs

EXTRA_CHANNELS = "extra_channels"
"""The conditioning's name of the channels that an inpainting UNet takes after those of the sample."""


class Row(NamedTuple):
    """One image's sample, float32 (1, C, H, W), at one timestep, and how to guide its prediction."""

    sample: Sample
    timestep: int
    conditioning: Conditioning
    unconditional: Conditioning | None
    """The conditioning of the null class or empty prompt; None without guidance."""
    guidance_scale: float
    guidance_rescale: float = 0.0
    step: LinearStep | None = None
    """The step that follows the prediction, if the graph may compute it."""

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of its inputs, by name: only rows with the same shapes share a call."""
        inputs = {name: value.shape for name, value in self.conditioning.items()}
        return {**inputs, "sample": self.sample.shape}


_MAX_FIXED_BATCH = 1024


class Denoiser:
    """Runs rows of different timesteps in one UNet call.

    Attributes:
        per_row_timesteps: False for a graph whose timestep is a scalar: all rows must have the same one.
        most_rows: the most rows of one call, for little memory; None for no limit.
        on_call: called after every network call with its rows, without padding, and its seconds.

    A graph with a fixed batch, or compiled for a few batches, is called as often as needed, the last call padded. A
    session with static shapes is called with powers of two, padded, so that few shapes occur.
    """

    def __init__(self, session: Session, controls: ControlNets | None = None) -> None:
        self.session, self._controls = session, controls
        self.output = "out_sample" if "out_sample" in session.outputs else next(iter(session.outputs))
        names = (name for name in session.inputs if name not in ("sample", "timestep", *STEP_INPUTS))
        self.conditioning_names = tuple(name for name in names if not name.startswith(RESIDUALS))
        for name in ("sample", "timestep"):
            if name not in session.inputs:
                raise BundleError(f"{session.name} has no input {name!r}: it has {listed(session.inputs)}")
        _check_rank(session)
        self.per_row_timesteps = len(session.inputs["timestep"].shape) == 1
        self._fixed_batch = _fixed_batch(session)
        self._fused_step = FusedStep(session)
        self._conditioning_cache = ConditioningCache()
        self.most_rows: int | None = None
        self.on_call: Callable[[int, float], None] = lambda _rows, _seconds: None

    def predict_or_step(self, rows: Sequence[Row]) -> Sequence[Sample | Stepped]:
        """Each row's prediction, float32 (1, C, H, W), or its step if the graph can compute the steps of all rows.

        Predictions until an fp16 image has been completed: steps stay on the device, where fp16 is not checked.
        """
        if (
            self._has_step_inputs
            and not self.session.needs_fp16_check
            and _can_step_together(rows)
            and len(rows) <= self._rows_per_call(len(rows))
            and not self._exceeds_most_rows(rows)
        ):
            return self._step(rows)
        predictions = self.predict(rows)
        return [predictions[index : index + 1] for index in range(len(rows))]

    def mark_fp16_checked(self) -> None:
        """Turn off the fp16 checks: an image has been completed."""
        self.session.needs_fp16_check = False
        if self._controls is not None:
            self._controls.mark_fp16_checked()

    def predict(self, rows: Sequence[Row]) -> Sample:
        """The guided predictions of ``rows``, float32 (B, C, H, W); runs B rows, plus one for each guided row."""
        guided = [index for index, row in enumerate(rows) if row.unconditional is not None]
        extra = [rows[index] for index in guided]
        conditions = [row.conditioning for row in rows] + [row.unconditional or {} for row in extra]
        outputs = self._run_in_calls([*rows, *extra], conditions)
        predictions = outputs[: len(rows)]
        if guided:
            predictions[guided] = _guided(extra, predictions[guided], outputs[len(rows) :])
        return predictions

    @property
    def _has_step_inputs(self) -> bool:
        """Not cached: if fp16 fails, the session changes to another graph."""
        return self.session.inputs.keys() >= STEP_INPUTS

    def _step(self, rows: Sequence[Row]) -> list[Stepped]:
        padding = self._padded_count(len(rows)) - len(rows)
        padded = [*rows, *[rows[-1]] * padding]
        guided = rows[0].unconditional is not None
        conditions = [row.conditioning for row in padded]
        if guided:
            conditions += [row.unconditional or {} for row in padded]
        other_inputs = self._inputs_beside_sample([*padded, *padded] if guided else padded, conditions)
        steps = [StepRow(row.sample, row.step, row.guidance_scale) for row in rows if row.step is not None]
        began = time.perf_counter()
        stepped = self._fused_step.advance(steps, other_inputs, padding)
        self.on_call((1 + guided) * len(rows), time.perf_counter() - began)
        return stepped

    def _run_in_calls(self, rows: Sequence[Row], conditions: Sequence[Conditioning]) -> Sample:
        limit = self._rows_per_call(len(rows))
        if len(rows) <= limit:
            return self._run_call(rows, conditions)
        firsts = range(0, len(rows), limit)
        return _concatenate([self._run_call(rows[at : at + limit], conditions[at : at + limit]) for at in firsts])

    def _run_call(self, rows: Sequence[Row], conditions: Sequence[Conditioning]) -> Sample:
        padding = self._padded_count(len(rows)) - len(rows)
        conditions = [*conditions, *[conditions[-1]] * padding]
        feeds = self._feeds([*rows, *[rows[-1]] * padding], conditions)
        began = time.perf_counter()
        added = self._controls.residuals(feeds, conditions) if self._controls else {}
        predictions = self.session.run({**feeds, **added}, [self.output])[self.output]
        seconds = time.perf_counter() - began
        wanted = (len(feeds["sample"]), *rows[0].sample.shape[1:])
        if predictions.shape != wanted:
            raise BundleError(
                f"{self.session.name} returns the shape {predictions.shape} for samples of {wanted}: "
                "a network that also predicts a variance, or is not a denoiser, is not supported"
            )
        self.on_call(len(rows), seconds)
        return predictions[: len(rows)].astype(np.float32, copy=False)

    def _feeds(self, rows: Sequence[Row], conditions: Sequence[Conditioning]) -> dict[str, Array]:
        sample = _concatenate([np.asarray(row.sample) for row in rows])
        if EXTRA_CHANNELS in conditions[0]:
            extra = self._conditioning_cache.batch(
                EXTRA_CHANNELS, [condition[EXTRA_CHANNELS] for condition in conditions]
            )
            sample = np.concatenate([sample, extra], axis=1)
        placeholders = placeholder_step_inputs(sample.shape) if self._has_step_inputs else {}
        return {"sample": sample, **self._inputs_beside_sample(rows, conditions), **placeholders}

    def _inputs_beside_sample(self, rows: Sequence[Row], conditions: Sequence[Conditioning]) -> dict[str, Array]:
        """The inputs beside the sample: timesteps and conditioning."""
        timesteps = np.array([row.timestep for row in rows])
        feeds = {"timestep": timesteps if self.per_row_timesteps else timesteps[0]}
        for name in self.conditioning_names:
            feeds[name] = self._conditioning_cache.batch(name, [condition[name] for condition in conditions])
        return feeds

    def _rows_per_call(self, rows: int) -> int:
        """The most rows of one call, when there are ``rows``."""
        if self._fixed_batch is not None or self.session.batches:
            return self._fixed_batch or max(self.session.batches)
        return min(rows, self.most_rows or rows)

    def _exceeds_most_rows(self, rows: Sequence[Row]) -> bool:
        """Whether the rows, two for each guided one, are too many for one call."""
        return self.most_rows is not None and sum(1 + (row.unconditional is not None) for row in rows) > self.most_rows

    def _padded_count(self, rows: int) -> int:
        if self._fixed_batch is not None:
            return self._fixed_batch
        if self.session.batches:
            return min(batch for batch in self.session.batches if batch >= rows)
        return 1 << (rows - 1).bit_length() if self.session.static_shapes else rows


def _check_rank(session: Session) -> None:
    """Raise BundleError for a graph whose samples are not (B, C, H, W), or whose timestep is no number or (B,)."""
    for name, ranks in (("sample", (4,)), ("timestep", (0, 1))):
        info = session.inputs[name]
        if len(info.shape) not in ranks:
            wanted = "(batch, channels, height, width)" if name == "sample" else "one number, or one for each row"
            raise BundleError(f"{session.name}'s input {info} must be {wanted}: it is no denoiser of images")


def _fixed_batch(session: Session) -> int | None:
    """The batch of a graph that takes no other one; BundleError for one that no call could be padded to."""
    batch = session.inputs["sample"].shape[0]
    if not isinstance(batch, int):
        return None
    if not 1 <= batch <= _MAX_FIXED_BATCH:
        raise BundleError(f"{session.name} takes {batch} rows in every call, and 1 to {_MAX_FIXED_BATCH} are supported")
    return batch


def _can_step_together(rows: Sequence[Row]) -> bool:
    """Whether all have a linear step, all or none are guided, and none uses guidance_rescale."""
    guided = {row.unconditional is not None for row in rows}
    return len(guided) == 1 and all(row.step is not None and not row.guidance_rescale for row in rows)


def _guided(rows: Sequence[Row], conditional: Sample, unconditional: Sample) -> Sample:
    predictions = guide(conditional, unconditional, np.array([row.guidance_scale for row in rows], np.float32))
    shares = np.array([row.guidance_rescale for row in rows], np.float32)
    return rescale(predictions, conditional, shares) if shares.any() else predictions


def _concatenate(arrays: Sequence[Array]) -> Array:
    """Concatenate along the first axis; a single array is not copied."""
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
