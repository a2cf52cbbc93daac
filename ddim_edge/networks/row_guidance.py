"""Row guidance: from the outputs of a network call to what the samplers of its rows are sent.

A network may return twice the sample's channels: first the prediction, then values for a learned variance (Nichol &
Dhariwal 2021). As in diffusers' pipelines, guidance is for the prediction alone, the variance is that of the row with
its conditioning, and samplers that do not ask for it do not get it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..arrays import Sample
from ..diffusion.guidance import guide, rescale
from ..diffusion.samplers.query import Guided
from .row import Row


class _Other(NamedTuple):
    """A further prediction: which guided row it is for, where it is behind the conditional ones, and its weight."""

    guided: int
    output: int
    weight: np.float32


def _others(rows: Sequence[Row], guided: Sequence[int]) -> list[_Other]:
    most = max((len(rows[index].others) for index in guided), default=0)
    found = [
        (place, rows[index].others[position].weight)
        for position in range(most)
        for place, index in enumerate(guided)
        if position < len(rows[index].others)
    ]
    return [_Other(place, len(guided) + at, np.float32(weight)) for at, (place, weight) in enumerate(found)]


class RowGuidance:
    """The guidance of some rows, of which all, none or a few are guided; the same at all their steps."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._count, self._channels = len(rows), rows[0].sample.shape[1]
        self._with_variance = [index for index, row in enumerate(rows) if row.keeps_variance]
        self._guided = [index for index, row in enumerate(rows) if row.unconditional is not None]
        unconditional = enumerate(self._guided, start=self._count)
        self._with_unconditional = [(index, other) for other, index in unconditional if rows[index].keeps_unconditional]
        self._others = _others(rows, self._guided)
        scales = [rows[index].guidance_scale for index in self._guided]
        shares = [rows[index].guidance_rescale for index in self._guided]
        self._scales = np.array(scales, np.float32) if len(set(scales)) > 1 else max(scales, default=1.0)
        self._shares = np.array(shares, np.float32) if any(shares) else None

    def apply(self, outputs: Sample) -> list[Sample | Guided]:
        """Each row's prediction, float32 (1, C, …): of twice the channels, or Guided, for one that keeps more.

        ``outputs``: in the order of ``entries_of``. It may be written to.
        """
        channels = self._channels
        proper = outputs[:, :channels] if outputs.shape[1] > channels else outputs
        guided = self._guide(proper) if self._guided else proper
        count = self._count
        answers: list[Sample | Guided] = (
            [guided] if count == 1 else [guided[index : index + 1] for index in range(count)]
        )
        for index in self._with_variance:
            own = guided[index : index + 1], outputs[index : index + 1, channels:]
            answers[index] = np.concatenate(own, axis=1)
        for index, other in self._with_unconditional:
            answers[index] = Guided(guided[index : index + 1], proper[other : other + 1])
        return answers

    def _guide(self, outputs: Sample) -> Sample:
        predictions, further = outputs[: self._count], outputs[self._count :]
        if len(self._guided) == self._count:
            return self._apply(predictions, further)
        predictions[self._guided] = self._apply(predictions[self._guided], further)
        return predictions

    def _apply(self, conditional: Sample, further: Sample) -> Sample:
        unconditional = further[: len(conditional)]
        guided = guide(conditional, unconditional, self._scales)
        for other in self._others:
            guided[other.guided] += other.weight * (further[other.output] - unconditional[other.guided])
        return guided if self._shares is None else rescale(guided, conditional, self._shares)
