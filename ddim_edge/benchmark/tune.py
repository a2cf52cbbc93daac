"""Tune: how far the images of each cache are from those without one, and how much time its network calls take.

All settings make the same images, batch by batch in turn, in one process. A setting's time is that of its network
calls: its rows of whole and of shallow calls, each at the median time of a row over all settings.
"""

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ..arrays import Pixels, Sample
from ..errors import ConfigError
from ..generation.pipeline import Pipeline
from ..generation.requests.request import Request


class Setting(NamedTuple):
    """A cache, or none."""

    cache: str | None = None
    threshold: float | None = None

    @property
    def name(self) -> str:
        """As a table shows it."""
        return f"{self.cache or 'off'}" + ("" if self.threshold is None else f", threshold {self.threshold:g}")

    def options(self) -> dict[str, Any]:
        """The generation options that are set."""
        options = {"cache": self.cache, "cache_threshold": self.threshold}
        return {name: value for name, value in options.items() if value is not None}


OFF = Setting()
CANDIDATES = (
    *(Setting(f"forecast:{every}") for every in (2, 3, 5)),
    Setting("forecast:5", 0.04),
    *(Setting(f"deep:{every}") for every in (2, 3, 5)),
    Setting("deep:5", 0.2),
)


class Measured(NamedTuple):
    """What was measured of a setting.

    Attributes:
        whole, cached: the mean numbers of whole and of cached calls of an image.
        seconds: the time of the network calls of an image.
        distance: of the final samples to those without a cache: the root mean square of the difference over that of
            the sample; the largest of all images.
        psnr: in decibels, of the pixels; the least of all images. None where all are the same.
        images: uint8 (N, H, W, C).
    """

    setting: Setting
    whole: float
    cached: float
    seconds: float
    distance: float
    psnr: float | None
    images: Pixels


@dataclass
class _Taken:
    """What a setting made so far."""

    request: Request
    samples: list[Sample] = field(default_factory=list)
    images: list[Pixels] = field(default_factory=list)
    whole: list[int] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=lambda: {"whole": 0, "shallow": 0})


Notify = Callable[[str], None]


def measure(pipeline: Pipeline, options: dict[str, Any], notify: Notify) -> list[Measured]:
    """Measure no cache, and each of the candidates that the model and the number of steps allow.

    ``options``: those of ``Pipeline.request``. ``notify`` is called with what is made next. Raises ConfigError for
    options that the model does not support, and where it allows no cache.
    """
    taken = {OFF: _Taken(pipeline.request(**options)), **dict(_possible(pipeline, options))}
    if len(taken) == 1:
        raise ConfigError("no cache is possible with so few steps: take more, or another sampler")
    seconds = _make_all(pipeline, taken, notify)
    return [_measured(setting, of, taken[OFF], seconds) for setting, of in taken.items()]


def fastest(measured: Sequence[Measured], max_distance: float) -> Measured | None:
    """The fastest setting within the distance; None if none is faster than no cache."""
    within = [row for row in measured if row.distance <= max_distance]
    best = min(within, key=lambda row: row.seconds)
    return None if best.setting == OFF else best


def _possible(pipeline: Pipeline, options: dict[str, Any]) -> Iterator[tuple[Setting, _Taken]]:
    for setting in CANDIDATES:
        try:
            yield setting, _Taken(pipeline.request(**options, **setting.options()))
        except ConfigError:
            continue


def _make_all(pipeline: Pipeline, taken: dict[Setting, _Taken], notify: Notify) -> dict[str, float]:
    """Make the images of all settings, in turn for each batch. Returns the seconds of a row of each kind of call."""
    times: dict[str, list[float]] = {"whole": [], "shallow": []}
    for chunk in taken[OFF].request.chunks():
        for setting, of in taken.items():
            notify(f"images {chunk.start} to {chunk.stop - 1}: {setting.name}")
            _count_calls(pipeline, of.rows, times)
            _make(pipeline, of, chunk)
    pipeline.denoiser.on_call = pipeline.denoiser.on_shallow_call = lambda _rows, _seconds: None
    return {kind: statistics.median(each) if each else 0.0 for kind, each in times.items()}


def _count_calls(pipeline: Pipeline, rows: dict[str, int], times: dict[str, list[float]]) -> None:
    def counter(kind: str) -> Callable[[int, float], None]:
        def count(number: int, seconds: float) -> None:
            rows[kind] += number
            times[kind].append(seconds / number)

        return count

    pipeline.denoiser.on_call, pipeline.denoiser.on_shallow_call = counter("whole"), counter("shallow")


def _make(pipeline: Pipeline, of: _Taken, chunk: range) -> None:
    for progress in pipeline.run(of.request, [chunk]):
        if progress.images is not None:
            of.images.append(progress.images)
            of.samples += [job.result() for job in progress.jobs]
            of.whole += [job.calls - job.shallow_calls for job in progress.jobs]


def _measured(setting: Setting, of: _Taken, off: _Taken, seconds: dict[str, float]) -> Measured:
    count, images = len(of.samples), np.concatenate(of.images)
    whole, all_calls = statistics.mean(of.whole), statistics.mean(off.whole)
    return Measured(
        setting,
        whole,
        all_calls - whole,
        sum(of.rows[kind] * seconds[kind] for kind in seconds) / count,
        max(_distance(*pair) for pair in zip(of.samples, off.samples, strict=True)),
        min((_psnr(*pair) for pair in zip(images, np.concatenate(off.images), strict=True)), key=_or_infinite),
        images,
    )


def _distance(sample: Sample, exact: Sample) -> float:
    size = float(np.square(exact, dtype=np.float64).mean())
    return math.sqrt(float(np.square(sample.astype(np.float64) - exact).mean()) / size) if size else 0.0


def _psnr(image: Pixels, exact: Pixels) -> float | None:
    square = float(np.square(image.astype(np.float64) - exact).mean())
    return 10 * math.log10(255**2 / square) if square else None


def _or_infinite(psnr: float | None) -> float:
    return math.inf if psnr is None else psnr
