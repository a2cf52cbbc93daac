"""Prompt weights as in A1111: parses them, and applies them to a text encoder's output.

``(word)`` is 1.1, ``[word]`` is 1/1.1, ``(word:1.3)`` is 1.3; nested weights multiply. ``\\(``, ``\\)``, ``\\[``,
``\\]`` and ``\\\\`` are the characters themselves; a backslash before anything else is dropped. A bracket that is not
closed reaches to the end of the prompt. A closing bracket without an opening one is text. Square brackets take no
number. The word ``BREAK`` begins a new chunk. This is the syntax of
https://github.com/AUTOMATIC1111/stable-diffusion-webui/wiki/Features#attentionemphasis, without prompt editing and
``AND``.
"""

import re
from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, shown

_FACTORS = {"(": 1.1, "[": 1 / 1.1}
_OPENED_BY = {")": "(", "]": "["}
_BREAK = re.compile(r"\s*\bBREAK\b\s*")
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
    """A part of a prompt with one weight."""

    text: str
    weight: float


def parse_weights(prompt: str) -> list[Span]:
    """Split a prompt into spans, at least one; neighbours differ in weight.

    Raises ConfigError for a weight that is not a number, or beyond ±1000.
    """
    parser = _Parser()
    for match in _PIECE.finditer(prompt):
        parser.read(match)
    parser.end()
    pieces = zip(parser.weights(), parser.texts, strict=True)
    runs = groupby(pieces, key=lambda piece: piece[0])
    return [Span("".join(text for _, text in run), weight) for weight, run in runs] or [Span("", 1.0)]


def parse_segments(prompt: str) -> list[list[Span]]:
    """Split a prompt at each ``BREAK``: the spans of every part, as of ``parse_weights``. Brackets may go across."""
    segments: list[list[Span]] = [[]]
    for span in parse_weights(prompt):
        first, *others = _BREAK.split(span.text)
        segments[-1].append(Span(first, span.weight))
        segments += [[Span(text, span.weight)] for text in others]
    return segments


def without_weights(prompt: str) -> str:
    """The prompt's words alone, without weights and ``BREAK``."""
    return " ".join("".join(span.text for span in segment).strip() for segment in parse_segments(prompt))


def apply_weights(hidden: NDArray[np.float32], weights: Sequence[float]) -> NDArray[np.float32]:
    """Scale each token's embedding by its weight, then scale all of them to restore the chunk's mean.

    ``hidden``: float32 (tokens, width), one chunk. This is A1111's emphasis "Original". The mean is over tokens and
    width together, so restoring it also scales the tokens of weight 1. It is not restored where it is only rounding
    error, as after a layer norm without bias: the quotient would be arbitrary.
    """
    factors = np.array(weights, np.float64)
    if (factors == 1).all():
        return hidden
    scaled: NDArray[np.float64] = hidden * factors[:, None]
    before, after = hidden.mean(dtype=np.float64), scaled.mean()
    if min(abs(before), abs(after)) > _ROUNDING * scaled.std():
        scaled *= before / after
    return scaled.astype(np.float32)


class _Parser:
    """Collects the texts of a prompt, and the range of texts that each pair of brackets encloses."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._ranges: list[tuple[int, int, float]] = []
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
        """Close the brackets that are still open."""
        for bracket, starts in self._opened.items():
            while starts:
                self._close(bracket, _FACTORS[bracket])

    def weights(self) -> list[float]:
        """The weight of each text. ConfigError for one beyond ±1000."""
        weights = np.ones(len(self.texts))
        with np.errstate(over="ignore"):
            for start, end, factor in self._ranges:
                weights[start:end] *= factor
        for text, weight in zip(self.texts, weights, strict=True):
            if not abs(weight) <= _LARGEST:
                raise ConfigError(
                    f"the prompt gives {shown(text)} the weight {weight:g}: "
                    f"take one from -{_LARGEST:g} to {_LARGEST:g}; usual are 0.5 to 1.5"
                )
        return [float(weight) for weight in weights]

    def _close(self, bracket: str, factor: float) -> None:
        self._ranges.append((self._opened[bracket].pop(), len(self.texts), factor))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigError(
            f"the prompt's weight {shown(text)} is not a number: "
            "write (word:1.3), or \\( and \\) for brackets that are text"
        ) from None
