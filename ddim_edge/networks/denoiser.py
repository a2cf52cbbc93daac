"""Denoiser: predicts, or steps, many rows in one call of the UNet, and in one of its shallow graph."""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ..arrays import Sample
from ..diffusion.samplers.query import Guided, Stepped
from ..errors import BundleError
from ..lora.bank import LoraBank
from ..runtime.sessions.session import Session
from .batch import Batch, entries_of
from .calls import NetworkCalls, OnCall
from .controlnet import ControlNets
from .features import Features
from .fused_step import FusedStep, StepRow
from .lora_groups import groups_of, in_groups, most_adapters
from .row import Row


class Kept(NamedTuple):
    """What a row's sampler is sent after a whole call, and the features for its shallow calls."""

    prediction: Sample | Guided
    features: Features


Answer = Sample | Guided | Stepped | Kept


class Denoiser:
    """Runs rows of different timesteps in one UNet call.

    Attributes:
        output: the name of the UNet's predictions.
        conditioning_names: the UNet's inputs that are conditioning.
        per_row_timesteps: False for a graph whose timestep is a scalar: all rows must have the same one.
        most_rows: the most rows of one call, for little memory; None for no limit.
        on_call: called after every call of the UNet with its rows, without padding, and its seconds.
        on_shallow_call: the same for the shallow graph.

    ``NetworkCalls`` describes how rows are padded. ``open_shallow`` opens the shallow graph, when ``prepare_shallow``
    first asks for it; None where the bundle has none. ``bank`` fills the LoRA slots; None for a graph without.
    """

    def __init__(
        self,
        session: Session,
        controls: ControlNets | None = None,
        open_shallow: Callable[[], Session] | None = None,
        bank: LoraBank | None = None,
    ) -> None:
        self._whole = NetworkCalls(session, controls, bank)
        self._shallow: NetworkCalls | None = None
        self._controls, self._open_shallow = controls, open_shallow
        self._has_slots = bank is not None
        self._most_adapters = None if bank is None else most_adapters(session, bank.slots)
        self.output, self.conditioning_names = self._whole.output, self._whole.conditioning_names
        self.per_row_timesteps = self._whole.per_row_timesteps
        self._fused_step = FusedStep(session)
        self._step_batch: Batch | None = None
        self.most_rows: int | None = None
        self.on_call: OnCall = lambda _rows, _seconds: None
        self.on_shallow_call: OnCall = lambda _rows, _seconds: None

    @property
    def session(self) -> Session:
        """The UNet's."""
        return self._whole.session

    @session.setter
    def session(self, session: Session) -> None:
        self._whole.session = session

    def prepare_shallow(self) -> None:
        """Open the shallow graph, if it is not open. BundleError where the bundle has none, or it does not fit."""
        if self._shallow is not None:
            return
        if self._open_shallow is None:
            raise BundleError(f"{self.session.name} has no shallow graph: export the model with --step-cache")
        shallow = NetworkCalls(self._open_shallow())
        shallow.check_is_shallow_of(self._whole)
        self._shallow = shallow

    def predict_or_step(self, rows: Sequence[Row]) -> Sequence[Answer]:
        """What each row's call returns: a prediction, as of ``RowGuidance``, its step, or what it keeps.

        Rows with features are one call of the shallow graph, the others one of the UNet. These are steps if the graph
        can compute those of all of them; predictions until an fp16 image has been completed: steps stay on the device,
        where fp16 is not checked.
        """
        shallow = [row for row in rows if row.features is not None]
        if not shallow:
            return self._run_whole(rows)
        whole = [row for row in rows if row.features is None]
        answers = iter(self._run_whole(whole) if whole else ())
        shallow_answers = iter(self._run_shallow(shallow))
        return [next(answers if row.features is None else shallow_answers) for row in rows]

    def mark_fp16_checked(self) -> None:
        """Turn off the fp16 checks: an image has been completed."""
        self.session.needs_fp16_check = False
        if self._shallow is not None:
            self._shallow.session.needs_fp16_check = False
        if self._controls is not None:
            self._controls.mark_fp16_checked()

    def check_files(self) -> None:
        """BundleError where a network's file was overwritten since it was opened: its last predictions can be wrong."""
        self.session.check_files()
        if self._shallow is not None:
            self._shallow.session.check_files()
        if self._controls is not None:
            self._controls.check_files()

    def predict(self, rows: Sequence[Row]) -> Sample:
        """The guided predictions of ``rows``, float32 (B, …); runs B rows, plus one for each guided row."""
        answers = in_groups(rows, self._groups(rows), self._predict_whole)
        return np.concatenate([answer.prediction if isinstance(answer, Guided) else answer for answer in answers])

    def _groups(self, rows: Sequence[Row]) -> list[list[int]]:
        """The rows of each call of the UNet: they differ in their LoRAs."""
        groups = groups_of(rows, self._most_adapters)
        self._whole.keep_batches(len(groups))
        return groups

    def _predict_whole(self, rows: Sequence[Row]) -> Sequence[Sample | Guided]:
        return self._whole.predict(rows, self.most_rows, self.on_call)

    def _run_whole(self, rows: Sequence[Row]) -> Sequence[Answer]:
        if not self._has_slots:
            return self._run_group(rows)
        return in_groups(rows, self._groups(rows), self._run_group)

    def _run_group(self, rows: Sequence[Row]) -> Sequence[Answer]:
        if self._whole.has_step_inputs and self._can_step(rows):
            return self._step(rows)
        if not [row for row in rows if row.keeps_features]:
            return self._whole.predict(rows, self.most_rows, self.on_call)
        predictions, features = self._whole.predict_and_keep(rows, self.most_rows, self.on_call)
        pairs = zip(predictions, features, strict=True)
        return [prediction if kept is None else Kept(prediction, kept) for prediction, kept in pairs]

    def _run_shallow(self, rows: Sequence[Row]) -> Sequence[Sample | Guided]:
        self.prepare_shallow()
        assert self._shallow is not None
        return self._shallow.predict(rows, self.most_rows, self.on_shallow_call)

    def _can_step(self, rows: Sequence[Row]) -> bool:
        """Whether one call computes the steps of all rows."""
        return (
            not self.session.needs_fp16_check
            and _can_step_together(rows)
            and len(rows) <= self._whole.rows_per_call(len(rows), self.most_rows)
            and not self._exceeds_most_rows(rows)
        )

    def _step(self, rows: Sequence[Row]) -> list[Stepped]:
        padding = self._whole.padded_count(len(rows)) - len(rows)
        batch = self._step_batch
        if batch is None or not batch.fits(rows):
            batch = self._step_batch = self._batch_of_steps(rows, padding)
        batch.fill_timesteps(rows)
        steps = [StepRow(row.sample, row.step, row.guidance_scale) for row in rows if row.step is not None]
        began = time.perf_counter()
        stepped = self._fused_step.advance(steps, self._whole.with_timestep(batch.feeds), padding)
        guided = rows[0].unconditional is not None
        self.on_call((1 + guided) * len(rows), time.perf_counter() - began)
        return stepped

    def _batch_of_steps(self, rows: Sequence[Row], padding: int) -> Batch:
        """The batch of a fused step: the conditional entries and the unconditional ones are padded alike."""
        entries = [entry for part in entries_of(rows) for entry in part + part[-1:] * padding]
        whole = self._whole
        return Batch(rows, entries, self.conditioning_names, whole.conditioning_cache, whole.timestep_type)

    def _exceeds_most_rows(self, rows: Sequence[Row]) -> bool:
        """Whether the rows, one for each prediction, are too many for one call."""
        return self.most_rows is not None and sum(len(row.conditionings) for row in rows) > self.most_rows


def _can_step_together(rows: Sequence[Row]) -> bool:
    """Whether all have a linear step, all or none are guided by two predictions, and none uses guidance_rescale."""
    guided = {row.unconditional is not None for row in rows}
    return len(guided) == 1 and all(
        row.step is not None and not row.guidance_rescale and not row.others for row in rows
    )
