"""Errors: one tree of exceptions. Every message says what was wrong, what was expected, and what to do.

::

    DdimEdgeError
    ├── ConfigError (also a ValueError)   an option, a label, a scheduler file
    ├── BundleError                       a model folder or one of its files
    ├── ProviderError                     the device that was asked for
    │   └── DeviceMemoryError             too little memory on it for a network call
    ├── OutputError                       a file that cannot be written
    ├── BuildError                        a compiler that crashed
    ├── ExportError                       a source that cannot be exported, or a graph that does not match it
    ├── PredictionError                   a network that returned NaN or infinity
    │   └── ActionError                   actions far beyond those that a policy was trained on
    └── DeadlineError                     a decision of a policy that cannot be made in time

``exit_code`` is what the command line returns: 2 for what its user can correct, 1 for the rest.
"""

import difflib
import reprlib
from collections.abc import Iterable


class DdimEdgeError(Exception):
    """Base class of all errors that this package raises on purpose."""

    exit_code = 2


class ConfigError(DdimEdgeError, ValueError):
    """An option or setting has an invalid value, or one that the model does not support."""


class BundleError(DdimEdgeError):
    """A model folder, or a file in it, is missing, broken or unsafe."""


class ProviderError(DdimEdgeError):
    """The execution provider that was asked for cannot run this model."""


class DeviceMemoryError(ProviderError):
    """The device has too little memory for a network call; a call of fewer rows may fit."""


class OutputError(DdimEdgeError):
    """A result cannot be written to the given path."""


class BuildError(DdimEdgeError):
    """A provider's compiler crashed without an error message."""

    exit_code = 1


class ExportError(DdimEdgeError):
    """A source cannot be exported, or the exported graph does not compute what its source computes."""

    exit_code = 1


class PredictionError(DdimEdgeError):
    """A network returned NaN or infinity."""

    exit_code = 1


class ActionError(PredictionError):
    """A policy's actions are far beyond those that it was trained on."""


class DeadlineError(DdimEdgeError):
    """A policy cannot decide within its deadline."""

    exit_code = 1


LONGEST_SHOWN = 200
_MOST_NAMES = 50
_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = LONGEST_SHOWN


def shown(value: object) -> str:
    """An input value as it stands in an error message: its repr, one line, at most 200 characters."""
    return shortened(_REPR.repr(value))


def shortened(text: str) -> str:
    """A text that another library made of an input, as it stands in a message: one line, at most 200 characters."""
    line = " ".join(text[: LONGEST_SHOWN + 1].split())
    return line if len(line) <= LONGEST_SHOWN else f"{line[: LONGEST_SHOWN - 3]}..."


def listed(names: Iterable[str]) -> str:
    """Names from an input file, such as those of a graph's inputs, as they stand in a message."""
    return shortened(", ".join(names))


_LEAST_SIMILAR = 0.5


def choose_from(what: str, value: object, valid: Iterable[str]) -> str:
    """The message for an unknown name: the name, the nearest valid one, and the valid ones, 50 at most."""
    names = list(valid)
    text = str(value)[:LONGEST_SHOWN]
    similar = {name: difflib.SequenceMatcher(None, name, text).ratio() for name in names}
    nearest = max(names, key=similar.__getitem__, default="")  # of equally similar ones the first
    hint = f" Did you mean {nearest!r}?" if similar.get(nearest, 0) >= _LEAST_SIMILAR else ""
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return f"{what} {shown(value)} is unknown.{hint} Valid: {', '.join(names[:_MOST_NAMES])}{more}."
