"""Denoiser: runs the UNet on many rows in one call, with guidance."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ..arrays import Array, Conditioning, Sample
from ..diffusion.samplers.query import Stepped
from ..errors import BundleError, listed
from ..runtime.sessions.session import Session
from ..runtime.sessions.tensors import TensorInfo
from .batch import Batch, entries_of
from .conditioning_cache import ConditioningCache
from .controlnet import RESIDUALS, ControlNets
from .fused_step import COEFFICIENTS, STEP_INPUTS, FusedStep, StepRow, placeholder_step_inputs
from .row import Row
from .row_guidance import RowGuidance

_FLOAT32 = np.dtype(np.float32)
_MAX_FIXED_BATCH = 1024


class _Call(NamedTuple):
    """One network call: a part of a batch."""

    feeds: Mapping[str, Array]
    conditions: Sequence[Conditioning]
    rows: int
    """Without padding."""
    shape: tuple[int, ...]
    """That of the predictions, with padding."""


class _Prepared(NamedTuple):
    """What the predictions of some rows need at each of their steps."""

    batch: Batch
    calls: Sequence[_Call]
    guidance: RowGuidance
    inputs: Mapping[str, TensorInfo]
    """The session's, which change if fp16 fails."""
    most_rows: int | None
    """The limit that the calls keep."""


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
        self._outputs = [self.output]
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
        self._prepared: _Prepared | None = None
        self._step_batch: Batch | None = None
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
        return [predictions[index : index + 1] for index in range(len(rows))] if len(rows) > 1 else [predictions]

    def mark_fp16_checked(self) -> None:
        """Turn off the fp16 checks: an image has been completed."""
        self.session.needs_fp16_check = False
        if self._controls is not None:
            self._controls.mark_fp16_checked()

    def check_files(self) -> None:
        """BundleError where a network's file was overwritten since it was opened: its last predictions can be wrong."""
        self.session.check_files()
        if self._controls is not None:
            self._controls.check_files()

    def predict(self, rows: Sequence[Row]) -> Sample:
        """The guided predictions of ``rows``, float32 (B, C, H, W); runs B rows, plus one for each guided row."""
        prepared = self._prepared
        if prepared is None or not self._serves(prepared, rows):
            prepared = self._prepared = self._prepare(rows)
        prepared.batch.fill(rows)
        first, *others = prepared.calls
        outputs = self._run(first)
        if others:
            outputs = np.concatenate([outputs, *(self._run(call) for call in others)])
        return prepared.guidance.apply(outputs)

    def _serves(self, prepared: _Prepared, rows: Sequence[Row]) -> bool:
        is_current = prepared.inputs is self.session.inputs and prepared.most_rows == self.most_rows
        return is_current and prepared.batch.fits(rows)

    def _prepare(self, rows: Sequence[Row]) -> _Prepared:
        conditional, unconditional = entries_of(rows)
        entries = conditional + unconditional
        limit = self._rows_per_call(len(entries))
        sizes = [min(limit, len(entries) - first) for first in range(0, len(entries), limit)]
        padding = self._padded_count(sizes[-1]) - sizes[-1]
        batch = Batch(rows, entries + entries[-1:] * padding, self.conditioning_names, self._conditioning_cache)
        calls = [self._call(batch, number * limit, size) for number, size in enumerate(sizes)]
        return _Prepared(batch, calls, RowGuidance(rows), self.session.inputs, self.most_rows)

    def _call(self, batch: Batch, first: int, rows: int) -> _Call:
        part = slice(first, first + self._padded_count(rows))
        feeds = self._with_timestep({name: feed[part] for name, feed in batch.feeds.items()})
        if self._has_step_inputs:
            feeds |= placeholder_step_inputs(feeds["sample"].shape)
        entries = batch.entries[part]
        return _Call(feeds, [entry.conditioning for entry in entries], rows, (len(entries), *batch.shape[1:]))

    def _with_timestep(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """``feeds`` with the timestep that all rows have, for a graph that takes a scalar."""
        timesteps = feeds["timestep"]
        return {**feeds, "timestep": timesteps if self.per_row_timesteps else timesteps[:1].reshape(())}

    def _run(self, call: _Call) -> Sample:
        began = time.perf_counter()
        added = self._controls.residuals(call.feeds, call.conditions) if self._controls else None
        feeds = {**call.feeds, **added} if added else call.feeds
        predictions = self.session.run(feeds, self._outputs)[self.output]
        seconds = time.perf_counter() - began
        self._check_shape(predictions, call)
        self.on_call(call.rows, seconds)
        if call.rows < len(predictions):
            predictions = predictions[: call.rows]
        return predictions if predictions.dtype == _FLOAT32 else predictions.astype(np.float32)

    @property
    def _has_step_inputs(self) -> bool:
        """Not cached: if fp16 fails, the session changes to another graph."""
        return COEFFICIENTS in self.session.inputs

    def _step(self, rows: Sequence[Row]) -> list[Stepped]:
        padding = self._padded_count(len(rows)) - len(rows)
        batch = self._step_batch
        if batch is None or not batch.fits(rows):
            batch = self._step_batch = self._batch_of_steps(rows, padding)
        batch.fill_timesteps(rows)
        steps = [StepRow(row.sample, row.step, row.guidance_scale) for row in rows if row.step is not None]
        began = time.perf_counter()
        stepped = self._fused_step.advance(steps, self._with_timestep(batch.feeds), padding)
        guided = rows[0].unconditional is not None
        self.on_call((1 + guided) * len(rows), time.perf_counter() - began)
        return stepped

    def _batch_of_steps(self, rows: Sequence[Row], padding: int) -> Batch:
        """The batch of a fused step: the conditional entries and the unconditional ones are padded alike."""
        entries = [entry for part in entries_of(rows) for entry in part + part[-1:] * padding]
        return Batch(rows, entries, self.conditioning_names, self._conditioning_cache)

    def _check_shape(self, predictions: Array, call: _Call) -> None:
        wanted = call.shape
        if predictions.shape != wanted:
            raise BundleError(
                f"{self.session.name} returns the shape {predictions.shape} for samples of {wanted}: "
                "a network that also predicts a variance, or is not a denoiser, is not supported"
            )

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
