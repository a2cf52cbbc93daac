"""Batch: the network's inputs for rows that come back step after step."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..arrays import Array, Conditioning, Sample
from ..errors import BundleError
from .conditioning_cache import ConditioningCache
from .features import Features, KeptRow
from .row import EXTRA_CHANNELS, Row


class Entry(NamedTuple):
    """What the network predicts once: a row, by its index, with its conditioning or its unconditional one."""

    row: int
    conditioning: Conditioning


def entries_of(rows: Sequence[Row]) -> list[list[Entry]]:
    """The entries of all rows with their conditioning, those of the guided rows with the unconditional one, and so on.

    The entries of one list have the same position in ``Row.conditionings``.
    """
    all_of = [row.conditionings for row in rows]
    return [
        [Entry(index, each[position]) for index, each in enumerate(all_of) if position < len(each)]
        for position in range(max(map(len, all_of)))
    ]


def kept_of(rows: Sequence[Row]) -> list[KeptRow]:
    """The kept features of the entries of ``rows``, which all have features, in the order of ``entries_of``."""
    features = [row.features for row in rows if row.features is not None]
    lists = entries_of(rows)
    return [features[entry.row][position] for position, entries in enumerate(lists) for entry in entries]


def features_of(rows: Sequence[Row], kept: Sequence[KeptRow | None]) -> list[Features | None]:
    """Each row's features; the inverse of ``kept_of``. None for a row that keeps none."""
    found: list[list[KeptRow]] = [[] for _ in rows]
    entries = (entry for part in entries_of(rows) for entry in part)
    for entry, own in zip(entries, kept, strict=False):  # what is left over is padding
        if own is not None:
            found[entry.row].append(own)
    return [tuple(each) or None for each in found]


class Batch:
    """The inputs of the entries of some rows: arrays that are made once, and filled at every step. Not thread-safe.

    Only samples and timesteps change from step to step. They are written into the same arrays, which the session then
    checks only once. No caller gets these arrays: nothing that was returned is written to.

    ``timestep_type``: that of the graph's timestep. A fraction where it is whole numbers raises BundleError.

    Attributes:
        entries: what is predicted, and padding.
        loras: the adapters of each.
        shape: that of one row's sample, (1, …).
        feeds: the inputs by name, with one row per entry.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        entries: Sequence[Entry],
        names: Sequence[str],
        cache: ConditioningCache,
        timestep_type: np.dtype[Any],
    ) -> None:
        self.entries = entries
        self.loras = [rows[entry.row].loras for entry in entries]
        nothing = np.empty(0, np.float32)
        self._rows = [row._replace(sample=nothing, step=None, features=None) for row in rows]
        self.shape = rows[0].sample.shape
        samples = _samples(entries, self.shape)
        self._slots = [(at, samples[at : at + 1, : self.shape[1]], entry.row) for at, entry in enumerate(entries)]
        self._timesteps, self._whole = np.empty(len(entries), timestep_type), timestep_type.kind in "iu"
        conditioning = {name: cache.batch(name, [entry.conditioning[name] for entry in entries]) for name in names}
        self.feeds: Mapping[str, Array] = {"sample": samples, "timestep": self._timesteps, **conditioning}

    def fits(self, rows: Sequence[Row]) -> bool:
        """Whether ``rows`` are those of this batch at another step."""
        if len(rows) != len(self._rows) or rows[0].sample.shape != self.shape:
            return False
        return all(map(Row.is_asked_like, rows, self._rows))

    def fill(self, rows: Sequence[Row]) -> None:
        """Write the samples and timesteps of ``rows``."""
        for at, place, row in self._slots:
            place[:] = rows[row].sample
            self._fill_timestep(at, rows[row].timestep)

    def fill_timesteps(self, rows: Sequence[Row]) -> None:
        """Write the timesteps of ``rows`` alone."""
        for at, _, row in self._slots:
            self._fill_timestep(at, rows[row].timestep)

    def _fill_timestep(self, at: int, timestep: float) -> None:
        if self._whole and timestep != int(timestep):
            raise BundleError(f"the network takes whole timesteps alone, and was given {timestep:.6g}: export it again")
        self._timesteps[at] = timestep


def _samples(entries: Sequence[Entry], shape: tuple[int, ...]) -> Sample:
    """Memory for the samples, and behind them the extra channels of an inpainting UNet, which do not change."""
    _, channels, *sides = shape
    extra = [entry.conditioning[EXTRA_CHANNELS] for entry in entries if EXTRA_CHANNELS in entry.conditioning]
    samples = np.empty((len(entries), channels + (extra[0].shape[1] if extra else 0), *sides), np.float32)
    if extra:
        samples[:, channels:] = np.concatenate(extra)
    return samples
