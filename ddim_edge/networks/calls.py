"""Network calls: one denoising network on rows of different timesteps, in batches that it takes."""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..arrays import Array, Conditioning, Sample
from ..bundle.layout import DEEP_FEATURES, is_conditioning
from ..diffusion.samplers.query import Guided
from ..errors import BundleError, listed
from ..lora.bank import LoraBank
from ..runtime.sessions.session import Feed, Session
from ..runtime.sessions.tensors import TensorInfo
from .batch import Batch, entries_of, features_of, kept_of
from .conditioning_cache import ConditioningCache
from .controlnet import ControlNets
from .features import Features, FeatureStack, KeptRow, kept_rows
from .fused_step import COEFFICIENTS, STEP_INPUTS, placeholder_step_inputs
from .graph_checks import check_inputs, fixed_batch
from .row import Row
from .row_guidance import RowGuidance

_FLOAT32 = np.dtype(np.float32)
OnCall = Callable[[int, float], None]
"""Is told the rows of a network call, without padding, and its seconds."""


class _Call(NamedTuple):
    """One network call: a part of a batch."""

    feeds: Mapping[str, Array]
    conditions: Sequence[Conditioning]
    part: slice
    """Which of the batch's entries it has, without padding."""
    rows: int
    """Their number."""
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


class NetworkCalls:
    """Runs rows of different timesteps on one network: the UNet, or its shallow graph.

    Attributes:
        output: the name of the predictions.
        conditioning_names: the inputs that are conditioning.
        per_row_timesteps: False for a graph whose timestep is a scalar: all rows must have the same one.

    A graph with a fixed batch, or compiled for a few batches, is called as often as needed, the last call padded. A
    session with static shapes is called with powers of two, padded, so that few shapes occur.

    Raises BundleError for a graph that is no denoiser.
    """

    def __init__(self, session: Session, controls: ControlNets | None = None, bank: LoraBank | None = None) -> None:
        self.session, self._controls, self._bank = session, controls, bank
        check_inputs(session)
        self.output = "out_sample" if "out_sample" in session.outputs else next(iter(session.outputs))
        self._outputs = [self.output]
        names = (name for name in session.inputs if name not in STEP_INPUTS)
        self.conditioning_names = tuple(filter(is_conditioning, names))
        self.per_row_timesteps = len(session.inputs["timestep"].shape) == 1
        self._fixed_batch = fixed_batch(session)
        self.conditioning_cache = ConditioningCache()
        self._prepared: deque[_Prepared] = deque(maxlen=1)
        self._features = FeatureStack()

    def predict(self, rows: Sequence[Row], most_rows: int | None, on_call: OnCall) -> list[Sample | Guided]:
        """What the sampler of each of ``rows`` is sent, as of ``RowGuidance``; runs a row for each, two if guided.

        ``most_rows``: the most rows of a call, None for no limit. ``on_call`` is called after each. Each row has its
        features if the graph takes some.
        """
        prepared = self._prepared_for(rows, most_rows)
        kept = kept_of(rows) if DEEP_FEATURES in self.session.inputs else ()
        first, *others = prepared.calls
        outputs = self._run(first, kept, on_call)
        if others:
            outputs = np.concatenate([outputs, *(self._run(call, kept, on_call) for call in others)])
        return prepared.guidance.apply(outputs)

    def predict_and_keep(
        self, rows: Sequence[Row], most_rows: int | None, on_call: OnCall
    ) -> tuple[list[Sample | Guided], list[Features | None]]:
        """The predictions as of ``predict``, and the features of the rows that keep them."""
        if DEEP_FEATURES not in self.session.outputs:
            raise BundleError(f"{self.session.name} does not return {DEEP_FEATURES}: export it with --step-cache again")
        prepared = self._prepared_for(rows, most_rows)
        keeping = [rows[entry.row].keeps_features for entry in prepared.batch.entries]
        outputs: list[Sample] = []
        kept: list[KeptRow | None] = []
        for call in prepared.calls:
            results = self._results(call, call.feeds, on_call, (DEEP_FEATURES,))
            outputs.append(self._predictions(call, results))
            kept += kept_rows(results[DEEP_FEATURES], keeping[call.part])
        joined = np.concatenate(outputs) if len(outputs) > 1 else outputs[0]
        return prepared.guidance.apply(joined), features_of(rows, kept)

    def keep_batches(self, count: int) -> None:
        """Keep what the last ``count`` calls need, at least: they are made in turn at each step."""
        if count > (self._prepared.maxlen or 0):
            self._prepared = deque(self._prepared, maxlen=count)

    def check_is_shallow_of(self, whole: "NetworkCalls") -> None:
        """Raise BundleError unless it takes the features that ``whole`` returns, and no other input than it."""
        kept, wanted = whole.session.outputs.get(DEEP_FEATURES), self.session.inputs.get(DEEP_FEATURES)
        others = set(self.conditioning_names) - set(whole.conditioning_names)
        if kept is None or wanted is None or kept.shape[1:2] != wanted.shape[1:2] or others:
            raise BundleError(
                f"{self.session.name}'s shallow graph takes {listed(self.session.inputs)}, and the unet returns "
                f"{listed(whole.session.outputs)}: that does not fit. Export the model with --step-cache again"
            )

    def rows_per_call(self, rows: int, most_rows: int | None) -> int:
        """The most rows of one call, when there are ``rows``."""
        if self._fixed_batch is not None or self.session.batches:
            return self._fixed_batch or max(self.session.batches)
        return min(rows, most_rows or rows)

    def padded_count(self, rows: int) -> int:
        """The rows of a call of ``rows``, with padding."""
        if self._fixed_batch is not None:
            return self._fixed_batch
        if self.session.batches:
            return min(batch for batch in self.session.batches if batch >= rows)
        return 1 << (rows - 1).bit_length() if self.session.static_shapes else rows

    def with_timestep(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """``feeds`` with the timestep that all rows have, for a graph that takes a scalar."""
        timesteps = feeds["timestep"]
        return {**feeds, "timestep": timesteps if self.per_row_timesteps else timesteps[:1].reshape(())}

    @property
    def has_step_inputs(self) -> bool:
        """Not cached: if fp16 fails, the session changes to another graph."""
        return COEFFICIENTS in self.session.inputs

    def _prepared_for(self, rows: Sequence[Row], most_rows: int | None) -> _Prepared:
        """The batch and calls of ``rows``, filled with their samples and timesteps."""
        for prepared in self._prepared:
            is_current = prepared.inputs is self.session.inputs and prepared.most_rows == most_rows
            if is_current and prepared.batch.fits(rows):
                break
        else:
            prepared = self._prepare(rows, most_rows)
            self._prepared.append(prepared)
        prepared.batch.fill(rows)
        return prepared

    def _prepare(self, rows: Sequence[Row], most_rows: int | None) -> _Prepared:
        entries = [entry for part in entries_of(rows) for entry in part]
        limit = self.rows_per_call(len(entries), most_rows)
        parts = [slice(first, min(first + limit, len(entries))) for first in range(0, len(entries), limit)]
        size = parts[-1].stop - parts[-1].start
        padding = self.padded_count(size) - size
        padded = entries + entries[-1:] * padding
        batch = Batch(rows, padded, self.conditioning_names, self.conditioning_cache, self.timestep_type)
        calls = [self._call(batch, part) for part in parts]
        return _Prepared(batch, calls, RowGuidance(rows), self.session.inputs, most_rows)

    @property
    def timestep_type(self) -> np.dtype[Any]:
        """Not cached: if fp16 fails, the session changes to another graph."""
        return self.session.inputs["timestep"].dtype

    def _call(self, batch: Batch, part: slice) -> _Call:
        padded = slice(part.start, part.start + self.padded_count(part.stop - part.start))
        feeds = self.with_timestep({name: feed[padded] for name, feed in batch.feeds.items()})
        if self.has_step_inputs:
            feeds |= placeholder_step_inputs(feeds["sample"].shape)
        if self._bank is not None:
            feeds |= self._bank.feeds(batch.loras[padded])
        entries = batch.entries[padded]
        conditions, shape = [entry.conditioning for entry in entries], (len(entries), *batch.shape[1:])
        return _Call(feeds, conditions, part, part.stop - part.start, shape)

    def _run(self, call: _Call, kept: Sequence[KeptRow], on_call: OnCall) -> Sample:
        feeds: Mapping[str, Feed] = call.feeds
        if kept:
            feeds = {**feeds, DEEP_FEATURES: self._features.joined(kept[call.part], call.shape[0])}
        return self._predictions(call, self._results(call, feeds, on_call))

    def _results(
        self, call: _Call, feeds: Mapping[str, Feed], on_call: OnCall, kept: Sequence[str] = ()
    ) -> Mapping[str, Feed]:
        """Run the network: its predictions, and the outputs ``kept``, which stay on the device if it has own memory."""
        began = time.perf_counter()
        added = self._controls.residuals(call.feeds, call.conditions) if self._controls else None
        given = {**feeds, **added} if added else feeds
        if kept:
            results = self.session.run_and_keep(given, [self.output, *kept], kept)
        else:
            results = {**self.session.run(given, self._outputs)}
        seconds = time.perf_counter() - began
        returned = results[self.output].shape
        if returned != call.shape and not _has_variance(returned, call.shape):
            raise self._wrong_shape(returned, call)
        on_call(call.rows, seconds)
        return results

    def _predictions(self, call: _Call, results: Mapping[str, Feed]) -> Sample:
        predictions = np.asarray(results[self.output])
        if call.rows < len(predictions):
            predictions = predictions[: call.rows]
        return predictions if predictions.dtype == _FLOAT32 else predictions.astype(np.float32)

    def _wrong_shape(self, shape: tuple[int, ...], call: _Call) -> BundleError:
        return BundleError(
            f"{self.session.name} returns the shape {shape} for samples of {call.shape}: it is no denoiser, which "
            "returns that shape, or twice the channels with a learned variance"
        )


def _has_variance(returned: tuple[int, ...], samples: tuple[int, ...]) -> bool:
    """Whether it is the samples' shape with twice the channels: behind the prediction is the variance."""
    rows, channels, *sides = samples
    return returned == (rows, 2 * channels, *sides)
