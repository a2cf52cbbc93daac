"""The denoiser: a UNet session that answers many questions in one call, with guidance."""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ..arrays import Array, Conditioning, Sample
from ..diffusion.guidance import guide, rescale
from ..diffusion.samplers.query import LinearStep, Stepped
from ..errors import BundleError
from ..runtime.sessions.session import Session
from .conditioning_cache import ConditioningCache
from .controlnet import RESIDUALS, ControlNets
from .fused_step import STEP_INPUTS, FusedStep, StepRow, placeholder_step_inputs

EXTRA_CHANNELS = "extra_channels"
"""What a conditioning calls the channels that an inpainting model takes after those of the sample."""


class Row(NamedTuple):
    """One image's question: float32 (1, C, H, W) at one timestep, and how to guide the answer."""

    sample: Sample
    timestep: int
    conditioning: Conditioning
    unconditional: Conditioning | None
    """The conditioning of the null class or empty prompt; None where the answer is not guided."""
    guidance_scale: float
    guidance_rescale: float = 0.0
    step: LinearStep | None = None
    """What may be done with the answer at once."""

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of all that it feeds the network: only rows that are alike share a call."""
        inputs = {name: value.shape for name, value in self.conditioning.items()}
        return {**inputs, "sample": self.sample.shape}


class Denoiser:
    """Runs rows that stand at different timesteps in one UNet call.

    Attributes:
        per_row_timesteps: False for a graph whose timestep is a scalar: its rows must share one.
        on_call: told the rows, without padding, and the seconds of every network call.

    A graph with a fixed batch is called as often as it takes, the last call padded, and one that was compiled for a few
    batches likewise. A session that prepares itself for every shape is called with powers of two, padded.
    """

    def __init__(self, session: Session, controls: ControlNets | None = None) -> None:
        self.session, self._controls = session, controls
        self.output = "out_sample" if "out_sample" in session.outputs else next(iter(session.outputs))
        names = (name for name in session.inputs if name not in ("sample", "timestep", *STEP_INPUTS))
        self.conditioning_names = tuple(name for name in names if not name.startswith(RESIDUALS))
        for name in ("sample", "timestep"):
            if name not in session.inputs:
                raise BundleError(f"{session.name} has no input {name!r}: it has {', '.join(session.inputs)}")
        self.per_row_timesteps = len(session.inputs["timestep"].shape) == 1
        batch = session.inputs["sample"].shape[0]
        self._fixed_batch = batch if isinstance(batch, int) else None
        self._fused_step = FusedStep(session)
        self._conditioning_cache = ConditioningCache()
        self.on_call: Callable[[int, float], None] = lambda _rows, _seconds: None

    def predict_or_step(self, rows: Sequence[Row]) -> Sequence[Sample | Stepped]:
        """To each row its prediction, float32 (1, C, H, W), or, where the graph can take all their steps, those.

        What fp16 makes of its first image is looked at, and so it is predictions.
        """
        if (
            self._has_step_inputs
            and not self.session.needs_fp16_check
            and _can_step_together(rows)
            and len(rows) <= self._rows_per_call(len(rows))
        ):
            return self._step(rows)
        predictions = self.predict(rows)
        return [predictions[index : index + 1] for index in range(len(rows))]

    def mark_fp16_checked(self) -> None:
        """An image was made: what the networks return in fp16 need not be looked at any more."""
        self.session.needs_fp16_check = False
        if self._controls is not None:
            self._controls.mark_fp16_checked()

    def predict(self, rows: Sequence[Row]) -> Sample:
        """The predictions of ``rows``, float32 (B, C, H, W), asking B rows, plus one for each guided row."""
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
        """Asked anew each time: where fp16 fails, another graph takes its place."""
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
                "a network that also predicts a variance, or is no denoiser, cannot be sampled here"
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
        """All that the network is fed beside the sample."""
        timesteps = np.array([row.timestep for row in rows])
        feeds = {"timestep": timesteps if self.per_row_timesteps else timesteps[0]}
        for name in self.conditioning_names:
            feeds[name] = self._conditioning_cache.batch(name, [condition[name] for condition in conditions])
        return feeds

    def _rows_per_call(self, rows: int) -> int:
        """How many of ``rows`` one call takes."""
        return self._fixed_batch or (max(self.session.batches) if self.session.batches else rows)

    def _padded_count(self, rows: int) -> int:
        if self._fixed_batch is not None:
            return self._fixed_batch
        if self.session.batches:
            return min(batch for batch in self.session.batches if batch >= rows)
        return 1 << (rows - 1).bit_length() if self.session.static_shapes else rows


def _can_step_together(rows: Sequence[Row]) -> bool:
    """Whether all offer a linear step, all are guided or none is, and no contrast is taken back."""
    guided = {row.unconditional is not None for row in rows}
    return len(guided) == 1 and all(row.step is not None and not row.guidance_rescale for row in rows)


def _guided(rows: Sequence[Row], conditional: Sample, unconditional: Sample) -> Sample:
    predictions = guide(conditional, unconditional, np.array([row.guidance_scale for row in rows], np.float32))
    shares = np.array([row.guidance_rescale for row in rows], np.float32)
    return rescale(predictions, conditional, shares) if shares.any() else predictions


def _concatenate(arrays: Sequence[Array]) -> Array:
    """The arrays' rows as one array; a single one is not copied."""
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
