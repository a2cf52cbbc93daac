"""A1111's prompt weights: how they are written, and what they do to an encoder's output.

``(word)`` is 1.1, ``[word]`` is 1/1.1, ``(word:1.3)`` is 1.3; nested weights multiply. ``\\(``, ``\\)``, ``\\[``,
``\\]`` and ``\\\\`` are the characters themselves, a backslash before anything else is dropped. A bracket that is not
closed reaches to the end of the prompt, one that closes nothing is text, and square brackets take no number. That is
the syntax of https://github.com/AUTOMATIC1111/stable-diffusion-webui/wiki/Features#attentionemphasis, without prompt
editing, ``AND`` and ``BREAK``.
"""

import re
from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError

_FACTORS = {"(": 1.1, "[": 1 / 1.1}
_OPENED_BY = {")": "(", "]": "["}
_LARGEST = 1000.0
_ROUNDING = 1e-6
_PIECE = re.compile(
    r"""
    \\ (?P<literal> [()\[\]\\]? )
    | (?P<open> [(\[] )
    | : \s* (?P<number> [+-]? [.\d]+ ) \s* \)
    | (?P<close> [)\]] )
    | :
    | [^\\()\[\]:]+
    """,
    re.VERBOSE,
)


class Span(NamedTuple):
    """A part of a prompt whose words have one weight."""

    text: str
    weight: float


def parse_weights(prompt: str) -> list[Span]:
    """The spans of a prompt in order, at least one; neighbours differ in weight.

    Raises ConfigError for a weight that is no number, or beyond ±1000.
    """
    reader = _Reader()
    for match in _PIECE.finditer(prompt):
        reader.read(match)
    reader.end()
    pieces = zip(reader.weights(), reader.texts, strict=True)
    runs = groupby(pieces, key=lambda piece: piece[0])
    return [Span("".join(text for _, text in run), weight) for weight, run in runs] or [Span("", 1.0)]


def apply_weights(hidden: NDArray[np.float32], weights: Sequence[float]) -> NDArray[np.float32]:
    """Scale each token's embedding by its weight, then all of them so that the chunk's mean is what it was.

    ``hidden``: float32 (tokens, width), one chunk. This is what A1111 calls the emphasis "Original". The mean is that
    over tokens and width together, so restoring it scales every token of the chunk, those of weight 1 too. It is left
    alone where it is nothing but rounding, as after a layer norm that does not shift: the quotient would be any number.
    """
    factors = np.array(weights, np.float64)
    if (factors == 1).all():
        return hidden
    scaled: NDArray[np.float64] = hidden * factors[:, None]
    before, after = hidden.mean(dtype=np.float64), scaled.mean()
    if min(abs(before), abs(after)) > _ROUNDING * scaled.std():
        scaled *= before / after
    return scaled.astype(np.float32)


class _Reader:
    """Collects a prompt's texts, and over which of them each bracket reaches."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._reaches: list[tuple[int, int, float]] = []
        self._opened: dict[str, list[int]] = {"(": [], "[": []}

    def read(self, match: re.Match[str]) -> None:
        literal, opening, number, closing = match["literal"], match["open"], match["number"], match["close"]
        if opening:
            self._opened[opening].append(len(self.texts))
        elif number and self._opened["("]:
            self._close("(", _number(number))
        elif closing and self._opened[_OPENED_BY[closing]]:
            self._close(_OPENED_BY[closing], _FACTORS[_OPENED_BY[closing]])
        else:
            self.texts.append(match[0] if literal is None else literal)

    def end(self) -> None:
        """Close what is still open."""
        for bracket, starts in self._opened.items():
            while starts:
                self._close(bracket, _FACTORS[bracket])

    def weights(self) -> list[float]:
        """One for each text. ConfigError where one is too large to mean anything."""
        weights = np.ones(len(self.texts))
        with np.errstate(over="ignore"):
            for start, end, factor in self._reaches:
                weights[start:end] *= factor
        for text, weight in zip(self.texts, weights, strict=True):
            if not abs(weight) <= _LARGEST:
                raise ConfigError(
                    f"the prompt gives {text!r} the weight {weight:g}: take one from -{_LARGEST:g} to {_LARGEST:g}; "
                    "usual are 0.5 to 1.5"
                )
        return [float(weight) for weight in weights]

    def _close(self, bracket: str, factor: float) -> None:
        self._reaches.append((self._opened[bracket].pop(), len(self.texts), factor))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigError(
            f"the prompt's weight {text!r} is no number: write (word:1.3), or \\( and \\) for brackets that are text"
        ) from None
