"""Step cache: which calls of a run are whole, and which are cached.

A call is one query of a sampler. A whole call runs the network. A cached call does not: its prediction is forecast from
those of earlier calls (``forecast``), or a small part of the network computes it from the features that the last whole
call kept (``deep``: DeepCache, Ma et al. 2023, https://arxiv.org/abs/2312.00858).

Which calls are whole is a table, or, with a threshold, follows from how wrong cached calls would have been.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self, get_args

import numpy as np

from ..arrays import Sample
from ..config import number, whole_number
from ..errors import ConfigError, shown
from .levels import Levels

Kind = Literal["forecast", "deep"]

DEFAULT_EVERY = 3
MOST_EVERY = 1000
FORECAST_ORDER = 1
"""The degree of the polynomial that forecasts a prediction; it needs one whole call more than its degree."""
HIGHEST_CENTER, HIGHEST_POWER = 1000.0, 10.0
HIGHEST_THRESHOLD = 1000.0
SMALLEST_SIZE = 1e-30
"""The least root mean square that a change is divided by: a prediction may be zero."""
FORMS = "off, forecast, forecast:N, deep, deep:N or deep:N:CENTER:POWER"


@dataclass(frozen=True)
class StepCache:
    """A step cache's settings.

    Attributes:
        kind: what makes the prediction of a cached call.
        every: N. Every N-th call is whole; with a threshold, at most N-1 calls in a row are cached. 1: all are whole.
        center, power: for ``deep`` the uneven spacing of DeepCache's section 3.3: the whole calls are densest at call
            ``center``, the more so the higher ``power``. Both None for even spacing.
        threshold: the largest estimated error of cached calls in a row, as a share of the prediction's root mean
            square. The estimate is what the last whole call would have been wrong by, had it been cached, for each
            call since. None: which calls are whole is fixed.

    ``str`` gives the text that ``parse`` reads, without the threshold. Raises ConfigError for invalid values.
    """

    kind: Kind
    every: int = DEFAULT_EVERY
    center: float | None = None
    power: float | None = None
    threshold: float | None = None

    def __post_init__(self) -> None:
        whole_number("the step cache's N", self.every, low=1, high=MOST_EVERY)
        if self.center is not None and self.power is not None:
            number("the step cache's CENTER", self.center, low=0, high=HIGHEST_CENTER)
            number("the step cache's POWER", self.power, low=1, high=HIGHEST_POWER)
        if self.threshold is not None:
            number("cache_threshold", self.threshold, low=0, high=HIGHEST_THRESHOLD)
            if self.center is not None:
                raise ConfigError("cache_threshold and CENTER:POWER both choose the whole calls: give one of them")

    @classmethod
    def parse(cls, text: object, threshold: float | None = None) -> Self | None:
        """Read one of ``FORMS``; None for ``off``. Raises ConfigError for another text."""
        if text == "off":
            if threshold is not None:
                raise ConfigError("cache_threshold needs a cache, and it is off: set cache to forecast or deep, too")
            return None
        kind, *numbers = text.split(":") if isinstance(text, str) else ("",)
        lengths = {"forecast": (0, 1), "deep": (0, 1, 3)}
        if kind not in get_args(Kind) or len(numbers) not in lengths[kind]:
            raise _unknown(text)
        try:
            every = int(numbers[0]) if numbers else DEFAULT_EVERY
            center, power = map(float, numbers[1:]) if numbers[1:] else (None, None)
        except ValueError:
            raise _unknown(text) from None
        return cls("deep" if kind == "deep" else "forecast", every, center, power, threshold)

    def __str__(self) -> str:
        uneven = "" if self.center is None else f":{self.center:.12g}:{self.power:.12g}"
        return f"{self.kind}:{self.every}{uneven}"


def _unknown(text: object) -> ConfigError:
    return ConfigError(f"cache must be {FORMS}, such as forecast:3, not {shown(text)}")


def starts_of(levels: Levels, guided: Sequence[bool] | None = None) -> tuple[int, ...]:
    """The calls from which a schedule begins anew: the first, and where the calls before it say little about it.

    These are the calls whose noise is not below that of the call before, as in PNDM's warm-up, which asks several times
    at one noise level; and those at which guidance turns on or off.

    ``levels``: that of the sample at each call. ``guided``: whether each call is guided; None if all are, or
    none.
    """
    new = np.append(True, np.diff(levels.sigmas) >= 0)
    if guided is not None:
        new[1:] |= np.diff(np.array(guided, bool))
    return tuple(np.flatnonzero(new).tolist())


def whole_calls(
    cache: StepCache, num_calls: int, starts: Sequence[int] = (0,), order: int = FORECAST_ORDER
) -> tuple[bool, ...]:
    """Whether each call of a run is whole. With a threshold: the fewest whole calls that there can be.

    ``starts``: the calls from which the schedule begins anew, as of ``starts_of``. After each start, ``deep`` has one
    whole call and ``forecast`` one more than its ``order``; for ``forecast`` the last call is whole, too.

    Raises ConfigError for a run of one call, and for an N above the number of calls.
    """
    _check(cache, num_calls)
    whole = _always_whole(cache, num_calls, starts, order)
    if cache.center is not None and cache.power is not None:
        whole |= _uneven(num_calls, cache.every, cache.center, cache.power)
        return tuple(call in whole for call in range(num_calls))
    flags: list[bool] = []
    cached = 0
    for call in range(num_calls):
        flags.append(call in whole or cached + 1 >= cache.every)
        cached = 0 if flags[-1] else cached + 1
    return tuple(flags)


class CallPlan:
    """Which calls of one image are whole. ``is_whole`` is asked once before each call, in their order.

    Arguments as of ``whole_calls``. After a whole call, ``observe`` is told its prediction, which is needed only if
    ``observes``.
    """

    def __init__(
        self, cache: StepCache, num_calls: int, starts: Sequence[int] = (0,), order: int = FORECAST_ORDER
    ) -> None:
        self._cache = cache
        self._table = whole_calls(cache, num_calls, starts, order)
        self._always = _always_whole(cache, num_calls, starts, order)
        self._last_call, self._change = 0, math.inf
        self._last: Sample | None = None

    @property
    def kind(self) -> Kind:
        """What makes the prediction of a cached call."""
        return self._cache.kind

    @property
    def observes(self) -> bool:
        """Whether the predictions of whole calls decide which calls are whole."""
        return self._cache.threshold is not None

    def is_whole(self, call: int) -> bool:
        """Whether ``call`` runs the network."""
        if self._cache.threshold is None:
            return self._table[call]
        since = call - self._last_call
        return call in self._always or since >= self._cache.every or self._change * since > self._cache.threshold

    def observe(self, call: int, prediction: Sample, expected: Sample | None = None) -> None:
        """Take the prediction of a whole call, float32 of any shape; it is kept, and not written to.

        ``expected``: what a cached call would have had in its place; None for the prediction of the last whole call.
        """
        if not self.observes:
            return
        if self._last is not None:
            difference, size = _rms(prediction - (self._last if expected is None else expected)), _rms(prediction)
            self._change = difference / max(size, SMALLEST_SIZE) / (call - self._last_call)
        self._last, self._last_call = prediction, call


def _check(cache: StepCache, num_calls: int) -> None:
    if num_calls < 2:
        raise ConfigError(f"a cache needs at least 2 network calls, and this run makes {num_calls}: leave cache out")
    if cache.every > num_calls:
        raise ConfigError(
            f"cache {cache} makes one call in {cache.every} whole, and this run makes {num_calls}: take a smaller N, "
            "or more steps"
        )


def _always_whole(cache: StepCache, num_calls: int, starts: Sequence[int], order: int) -> set[int]:
    """The calls that are whole whatever N is."""
    after_start = order + 1 if cache.kind == "forecast" else 1
    if cache.threshold is not None:
        after_start = max(after_start, 2)  # a change is measured between two
    whole = {start + position for start in starts for position in range(after_start)}
    return whole | {num_calls - 1} if cache.kind == "forecast" else whole


def _uneven(num_calls: int, every: int, center: float, power: float) -> set[int]:
    """DeepCache's section 3.3: evenly spaced l, raised to ``power`` about ``center``; equal calls count once."""
    first, end = (math.copysign(abs(side) ** (1 / power), side) for side in (-center, num_calls - center))
    spaced = np.linspace(first, end, math.ceil(num_calls / every), endpoint=False)
    calls = np.copysign(np.abs(spaced) ** power, spaced) + center
    return {min(max(int(call), 0), num_calls - 1) for call in calls}


def _rms(values: Sample) -> float:
    return math.sqrt(float(np.mean(np.square(values, dtype=np.float64))))
